//! What the server counts.

use prometheus::{IntCounterVec, Opts, Registry};

/// Counters of a server; cloning shares them.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Requests answered, by status.
    pub(crate) requests: IntCounterVec,
    /// Connections that were closed before they had their answer, by reason: `crowded`, `late`, `slow`, `broken`, `accept`.
    pub(crate) dropped: IntCounterVec,
}

impl Counters {
    /// Makes and registers them, as `<prefix>_web_requests_total` and `<prefix>_web_connections_dropped_total`.
    pub fn new(prefix: &str, registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(format!("{prefix}_web_{name}_total"), help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let requests = counter("requests", "Requests for pages answered, by status.", "code")?;
        let dropped =
            counter("connections_dropped", "Connections closed before they had their answer, by reason.", "reason")?;
        for reason in ["crowded", "late", "slow", "broken", "accept"] {
            dropped.with_label_values(&[reason]);
        }
        Ok(Self { requests, dropped })
    }

    pub(crate) fn drop_one(&self, reason: &str) {
        self.drop_some(reason, 1);
    }

    pub(crate) fn drop_some(&self, reason: &str, count: u64) {
        self.dropped.with_label_values(&[reason]).inc_by(count);
    }
}
