//! Counters of the daemon, in one place.

mod closings;
mod exposition;
mod flow;
mod host;
mod ledger;
mod original;
mod packets;
mod storage;

use std::path::Path;
use std::time::Instant;

use cache::Change;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use closings::Closings;
pub use exposition::{CONTENT_TYPE, exposition};
use host::HostSockets;
use ledger::Total;
pub use ledger::{Ledger, Listening};
pub use original::Original;
pub use packets::register_capture;
use storage::Storage;

/// Types of errors that are there from the start, as zero.
const ERRORS: [&str; 14] = [
    "destroy_malformed",
    "destroy_overrun",
    "destroy_receive",
    "dump_interrupted",
    "dump_kernel",
    "dump_malformed",
    "dump_open",
    "dump_overrun",
    "dump_receive",
    "dump_send",
    "dump_silence",
    "dump_truncated",
    "message_malformed",
    "no_cookie",
];

/// Handles of all counters, passed by reference to whoever counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Where they are registered, the archive's too.
    pub registry: Registry,
    /// The archive's own.
    pub archive: saver::Counters,
    /// Complete polls, by address family.
    pub polls: IntCounterVec,
    /// Polls that were not complete; `errors` has why.
    pub failed_polls: IntCounter,
    /// Ends of connections that no poll saw, and that do not say what the filter asks for.
    pub undecided: IntCounter,
    /// Errors, by type.
    pub errors: IntCounterVec,
    /// Records of polls, by reason of change, in the order of [`Change::ALL`]: looked up once, for each record counts.
    changes: Vec<IntCounter>,
    /// Seconds from poll to poll, as they were meant.
    pub interval_meant: Gauge,
    /// Seconds from poll to poll, as they were over the last second.
    pub interval_achieved: Gauge,
    /// When the last complete poll was; when the recorder started, before the first one.
    pub last_poll: Gauge,
    /// Destroy events received.
    pub destroy_events: IntCounter,
    /// Connections that polls no longer saw and of which no destroy event came in time.
    pub vanished: IntCounter,
    /// Deadlines that passed while a poll was still running.
    pub missed_deadlines: IntCounter,
    /// Times that polling waited for a worker.
    pub stalls: IntCounter,
    /// What the event sockets count.
    pub events: crate::events::Counters,
    /// What is counted of packets that are joined to records.
    pub streams: crate::join::Counters,
    /// What the Go original measures.
    pub original: Original,
    /// Connections that are known and have not ended.
    pub open_connections: IntGauge,
    /// Batches that wait, by queue.
    pub queued: IntGaugeVec,
    sent: IntCounter,
    received: IntCounter,
    closings: Closings,
}

/// What is there whether connections are recorded or not: sockets by state, the process, what was built. `errors` counts
/// what fails.
pub fn register_host(registry: &Registry, errors: &IntCounterVec) -> prometheus::Result<()> {
    let build = IntGaugeVec::new(Opts::new("tcpinfo_build_info", "Which tcp-info this is; always 1."), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    registry.register(Box::new(HostSockets::new(errors.clone())?))
}

/// Errors by type, of recording and of counting.
pub fn errors(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let errors = IntCounterVec::new(Opts::new("tcpinfo_error_total", "Errors, by type."), &["type"])?;
    registry.register(Box::new(errors.clone()))?;
    for kind in ERRORS {
        errors.with_label_values(&[kind]);
    }
    Ok(errors)
}

impl Metrics {
    /// Makes and registers all counters.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let archive = saver::Counters::default();
        archive.register(&registry)?;
        let labelled = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let plain = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<Gauge> {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let errors = errors(&registry)?;
        let open_connections =
            IntGauge::new("tcpinfo_open_connections", "Connections that are known and have not ended.")?;
        let queued = Opts::new("tcpinfo_queued_batches", "Batches of records and events that wait, by queue.");
        let queued = IntGaugeVec::new(queued, &["queue"])?;
        let gauges: [Box<dyn Collector>; 2] = [Box::new(open_connections.clone()), Box::new(queued.clone())];
        gauges.into_iter().try_for_each(|gauge| registry.register(gauge))?;
        let changes = labelled("tcpinfo_changes_total", "Records of polls, by reason of change.", "reason")?;
        let polls = labelled("tcpinfo_polls_total", "Complete polls, by address family.", "af")?;
        for af in ["ipv4", "ipv6"] {
            polls.with_label_values(&[af]).inc_by(0);
        }
        let last_poll = gauge(
            "tcpinfo_last_poll_timestamp_seconds",
            "When the last complete poll was; before the first one, when the recorder started.",
        )?;
        last_poll.set(chrono::Utc::now().timestamp_millis() as f64 / 1000.0);
        Ok(Self {
            polls,
            failed_polls: plain("tcpinfo_failed_polls_total", "Polls that were not complete.")?,
            undecided: plain(
                "tcpinfo_undecided_ends_total",
                "Connections that were left out because their ends do not say what the filter asks for.",
            )?,
            errors,
            changes: Change::ALL.map(|change| changes.with_label_values(&[change.name()])).into(),
            interval_meant: gauge("tcpinfo_poll_interval_meant_seconds", "Time from poll to poll that is meant.")?,
            interval_achieved: gauge(
                "tcpinfo_poll_interval_achieved_seconds",
                "Mean time from poll to poll over the last second.",
            )?,
            last_poll,
            destroy_events: plain("tcpinfo_destroy_events_total", "Destroy events received from the kernel.")?,
            vanished: plain(
                "tcpinfo_vanished_total",
                "Connections given up because neither polls nor a destroy event told of them.",
            )?,
            missed_deadlines: plain("tcpinfo_missed_deadlines_total", "Deadlines that passed during a poll.")?,
            stalls: plain("tcpinfo_stalls_total", "Times that polling waited for the archive.")?,
            events: crate::events::Counters::new(&registry)?,
            streams: crate::join::Counters::new(&registry)?,
            original: Original::new(&registry)?,
            open_connections,
            queued,
            sent: plain(
                "tcpinfo_sent_bytes_total",
                "Bytes of payload that recorded connections sent, retransmissions left out.",
            )?,
            received: plain("tcpinfo_received_bytes_total", "Bytes of payload that recorded connections received.")?,
            closings: Closings::new(&registry)?,
            registry,
            archive,
        })
    }

    /// Registers what belongs to the place of the archive.
    pub fn register_storage(&self, output: &Path) -> prometheus::Result<()> {
        self.registry.register(Box::new(Storage::new(output)?))
    }

    /// Keeps the totals and what each connection came to.
    pub fn ledger(&self) -> Ledger {
        let sent = Total::new(self.sent.clone(), self.original.send_rate.clone());
        let received = Total::new(self.received.clone(), self.original.receive_rate.clone());
        let large = self.original.large_netlink.with_label_values(&["LinuxTCPInfo"]);
        Ledger::new(sent, received, self.closings.clone(), large, Instant::now())
    }

    /// Counts an error.
    pub fn error(&self, kind: &str) {
        self.errors.with_label_values(&[kind]).inc();
    }

    /// Counts a change.
    pub fn change(&self, change: Change) {
        self.changes[change as usize].inc();
    }
}
