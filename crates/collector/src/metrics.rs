//! Counters of the daemon, in one place.

use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

use cache::Change;

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
    /// Errors, by type.
    pub errors: IntCounterVec,
    /// Records of polls, by reason of change, in the order of [`Change::ALL`]: looked up once, for each record counts.
    changes: Vec<IntCounter>,
    /// Seconds from poll to poll, as they were meant.
    pub interval_meant: Gauge,
    /// Seconds from poll to poll, as they were over the last second.
    pub interval_achieved: Gauge,
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
        let changes = labelled("tcpinfo_changes_total", "Records of polls, by reason of change.", "reason")?;
        Ok(Self {
            polls: labelled("tcpinfo_polls_total", "Complete polls, by address family.", "af")?,
            failed_polls: plain("tcpinfo_failed_polls_total", "Polls that were not complete.")?,
            errors: labelled("tcpinfo_error_total", "Errors, by type.", "type")?,
            changes: Change::ALL.map(|change| changes.with_label_values(&[change.name()])).into(),
            interval_meant: gauge("tcpinfo_poll_interval_meant_seconds", "Time from poll to poll that is meant.")?,
            interval_achieved: gauge(
                "tcpinfo_poll_interval_achieved_seconds",
                "Mean time from poll to poll over the last second.",
            )?,
            destroy_events: plain("tcpinfo_destroy_events_total", "Destroy events received from the kernel.")?,
            vanished: plain(
                "tcpinfo_vanished_total",
                "Connections given up because neither polls nor a destroy event told of them.",
            )?,
            missed_deadlines: plain("tcpinfo_missed_deadlines_total", "Deadlines that passed during a poll.")?,
            stalls: plain("tcpinfo_stalls_total", "Times that polling waited for the archive.")?,
            events: crate::events::Counters::new(&registry)?,
            registry,
            archive,
        })
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
