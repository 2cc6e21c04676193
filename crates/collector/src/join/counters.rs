//! What the joiner counts.

use prometheus::{IntCounter, Registry};

/// Counters of accounts of packets, and of records that wait for them.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Records that got an account.
    pub attached: IntCounter,
    /// Accounts that were forgotten because no record of their connection came.
    pub unmatched: IntCounter,
    /// Accounts that were dropped because too many were kept.
    pub dropped: IntCounter,
    /// Final records that were written without the account of their connection's end.
    pub without_end: IntCounter,
}

impl Counters {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            attached: counter("tcpinfo_streams_attached_total", "Records that got an account of packets.")?,
            unmatched: counter(
                "tcpinfo_streams_unmatched_total",
                "Accounts of packets forgotten because no record of their connection came.",
            )?,
            dropped: counter(
                "tcpinfo_streams_dropped_total",
                "Accounts of packets dropped because too many were kept.",
            )?,
            without_end: counter(
                "tcpinfo_streams_finals_without_end_total",
                "Final records written without the account of their connection's last packets.",
            )?,
        })
    }
}
