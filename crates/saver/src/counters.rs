//! What the archive did and what it could not do.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Disk operations that may fail while recording.
const OPERATIONS: [&str; 11] =
    ["append", "compact", "compress", "create", "delete", "encode", "finish", "lock", "name_taken", "read", "recover"];

/// Counters of the archive, shared by all savers of a daemon. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Connections whose first record was taken.
    pub connections: IntCounter,
    /// Records taken.
    pub records: IntCounter,
    /// Records that are in the archive.
    pub records_written: IntCounter,
    /// Files begun: with a connection's first record, and with its first after a rotation.
    pub new_files: IntCounter,
    /// Files given their final name.
    pub files: IntCounter,
    /// Files of an earlier run given their final name.
    pub files_recovered: IntCounter,
    /// Files of an earlier run set aside because their beginning is damaged.
    pub files_damaged: IntCounter,
    /// Bytes of files of an earlier run that were damaged, and cut off or left out.
    pub cut_bytes: IntCounter,
    /// Bytes of finished files.
    pub file_bytes: IntCounter,
    /// Finished files deleted, by reason.
    pub files_deleted: IntCounterVec,
    /// Bytes of JSONL text written.
    pub bytes_raw: IntCounter,
    /// Bytes of zstd frames written.
    pub bytes_compressed: IntCounter,
    /// Files left in the spool to the next start because the date tree refused so many.
    pub files_left: IntCounter,
    /// Disk operations that failed, by operation.
    pub errors: IntCounterVec,
    /// Records dropped, by reason.
    pub records_lost: IntCounterVec,
    /// Attributes that a line could not hold.
    pub attributes_dropped: IntCounter,
    /// Bytes of memory that records take which wait to be written.
    pub pending_bytes: IntGauge,
    /// The most that they may take.
    pub memory_limit: IntGauge,
    /// Bytes of all finished files, where their number is limited.
    pub disk_bytes: IntGauge,
    /// Records without `tcp_info` left out because the connection had it before.
    pub without_tcp_info: IntCounter,
}

/// What a saver had to leave out since it was last asked: for the log. The counters have the totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records dropped because memory was full and the disk took none.
    pub records: u64,
    /// Records dropped because the disk took none up to the end.
    pub records_at_end: u64,
    /// Attributes that a line could not hold.
    pub attributes: u64,
    /// Files left in the spool to the next start because the date tree refused so many.
    pub files_left: u64,
}

impl Default for Counters {
    fn default() -> Self {
        let counter = |name: &str, help: &str| {
            IntCounter::new(format!("tcpinfo_archive_{name}_total"), help).expect("the name is a valid metric name")
        };
        // All values are there from the start, as zero: what is absent at first has no rate when it comes.
        let labelled = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(format!("tcpinfo_archive_{name}_total"), help), &[label])
                .expect("the name is a valid metric name");
            values.iter().for_each(|value| counter.with_label_values(&[value]).inc_by(0));
            counter
        };
        let gauge = |name: &str, help: &str| {
            IntGauge::new(format!("tcpinfo_archive_{name}"), help).expect("the name is a valid metric name")
        };
        // Two are named as the Go original names them.
        let named = |name: &str, help: &str| IntCounter::new(name, help).expect("the name is a valid metric name");
        Self {
            connections: counter("connections", "Connections whose first record was taken."),
            records: named("tcpinfo_snapshot_total", "Records taken for the archive."),
            records_written: counter("records_written", "Records written to disk."),
            new_files: named("tcpinfo_new_file_total", "Archive files begun."),
            files: counter("files", "Archive files finished."),
            files_recovered: counter("files_recovered", "Archive files of an earlier run finished."),
            files_damaged: counter("files_damaged", "Files of an earlier run set aside, their beginning damaged."),
            cut_bytes: counter("recovery_cut_bytes", "Damaged bytes cut off or left out of files of an earlier run."),
            file_bytes: counter("file_bytes", "Bytes of archive files finished."),
            files_deleted: labelled("files_deleted", "Finished files deleted.", "reason", &["max_disk", "retain"]),
            bytes_raw: counter("raw_bytes", "Bytes of JSONL text written, before compression."),
            bytes_compressed: counter("compressed_bytes", "Bytes of zstd frames written."),
            files_left: counter(
                "files_left",
                "Files left in the spool directory to the next start because the date tree refused so many.",
            ),
            errors: labelled("errors", "Disk operations that failed.", "operation", &OPERATIONS),
            records_lost: labelled(
                "records_lost",
                "Records dropped instead of written.",
                "reason",
                &["memory_limit", "shutdown"],
            ),
            attributes_dropped: counter("attributes_dropped", "Attributes that an archive line could not hold."),
            pending_bytes: gauge("pending_bytes", "Memory that records take which wait to be written."),
            memory_limit: gauge("memory_limit_bytes", "The most that waiting records may take."),
            disk_bytes: gauge("disk_bytes", "Bytes of all finished files, where --max-disk or --retain limits them."),
            without_tcp_info: counter(
                "records_without_tcp_info",
                "Records left out because they lack the tcp_info that the connection had before.",
            ),
        }
    }
}

impl Counters {
    /// Makes the counters visible in `registry`.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let all: [Box<dyn Collector>; 20] = [
            Box::new(self.connections.clone()),
            Box::new(self.records.clone()),
            Box::new(self.records_written.clone()),
            Box::new(self.new_files.clone()),
            Box::new(self.pending_bytes.clone()),
            Box::new(self.memory_limit.clone()),
            Box::new(self.disk_bytes.clone()),
            Box::new(self.files.clone()),
            Box::new(self.files_recovered.clone()),
            Box::new(self.files_damaged.clone()),
            Box::new(self.cut_bytes.clone()),
            Box::new(self.file_bytes.clone()),
            Box::new(self.files_deleted.clone()),
            Box::new(self.bytes_raw.clone()),
            Box::new(self.bytes_compressed.clone()),
            Box::new(self.files_left.clone()),
            Box::new(self.errors.clone()),
            Box::new(self.records_lost.clone()),
            Box::new(self.attributes_dropped.clone()),
            Box::new(self.without_tcp_info.clone()),
        ];
        all.into_iter().try_for_each(|counter| registry.register(counter))
    }

    /// Sum of a labelled counter over all its labels.
    pub fn sum(counter: &IntCounterVec) -> u64 {
        counter
            .collect()
            .iter()
            .flat_map(|family| family.get_metric())
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }
}
