//! The file system of the archive.

use std::path::{Path, PathBuf};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts};
use rustix::fs::statvfs;

/// Its size and what is free, asked for when it is told.
pub(super) struct Storage {
    output: PathBuf,
    size: IntGauge,
    free: IntGauge,
}

impl Storage {
    /// Of the file system that has this directory.
    pub(super) fn new(output: &Path) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGauge::with_opts(Opts::new(name, help));
        Ok(Self {
            output: output.to_owned(),
            size: gauge("tcpinfo_filesystem_size_bytes", "Size of the file system that has the archive.")?,
            free: gauge("tcpinfo_filesystem_free_bytes", "Bytes that are free there for the recorder.")?,
        })
    }
}

impl Collector for Storage {
    fn desc(&self) -> Vec<&Desc> {
        [self.size.desc(), self.free.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(found) = statvfs(&self.output) else { return Vec::new() };
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(found.f_frsize)).unwrap_or(i64::MAX);
        self.size.set(bytes(found.f_blocks));
        self.free.set(bytes(found.f_bavail));
        [self.size.collect(), self.free.collect()].concat()
    }
}
