//! What a saver is told once.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// How the archive is to be written.
#[derive(Debug, Clone)]
pub struct Config {
    /// First part of every UUID.
    pub prefix: String,
    /// When this boot began: files of older days are not of these connections.
    pub boot_time: DateTime<Utc>,
    /// Age of a file at which the next one is begun.
    pub rotation: Duration,
    /// Age of the oldest pending record at which it is written: what `kill -9` may cost.
    pub flush_age: Duration,
    /// Bytes of memory for records that wait, over all connections of this saver.
    pub memory_limit: usize,
    /// zstd's compression level.
    pub level: i32,
    /// What the header line says beyond the connection's own facts.
    pub header: HeaderFacts,
}

/// Facts for the header line that a reader cannot know otherwise.
#[derive(Debug, Clone, Default)]
pub struct HeaderFacts {
    /// `uname -r`.
    pub kernel_release: Option<String>,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<String>,
    /// Polling interval that is meant.
    pub interval: Option<String>,
    /// Polling interval that is achieved; see [`Saver::set_achieved_interval`](crate::Saver::set_achieved_interval).
    pub achieved_interval: Option<Duration>,
    /// What polls ask the kernel for.
    pub asked_attributes: Option<String>,
    /// What has become of each hook of extended statistics, if they were asked for.
    pub estats: Option<BTreeMap<String, String>>,
    /// Program and version.
    pub version: Option<String>,
}
