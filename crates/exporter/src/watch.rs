//! What the log says of the capture, now and then.

use std::time::{Duration, Instant};

use streams::live::Gathered;

/// Between two summaries.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// Remembers when something was told.
#[derive(Debug)]
pub struct Watch {
    summary_at: Instant,
}

impl Watch {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        Self { summary_at: now + SUMMARY_EVERY }
    }

    /// Takes what there is now. Tells once a minute how it goes.
    pub fn look(&mut self, gathered: &Gathered, now: Instant) {
        if now >= self.summary_at {
            self.summary_at = now + SUMMARY_EVERY;
            summary(gathered, "so far");
        }
    }
}

/// One line that says how it goes. Numbers are from the start on.
pub fn summary(gathered: &Gathered, when: &'static str) {
    tracing::info!(
        streams = gathered.tracked,
        active = gathered.active,
        seen = gathered.seen,
        packets = gathered.capture.received,
        dropped = gathered.capture.dropped,
        freezes = gathered.capture.freezes,
        "{when}"
    );
}
