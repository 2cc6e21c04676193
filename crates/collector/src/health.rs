//! Whether the recorder does what it is there for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A recorder that has not looked at the kernel for longer is not well, whatever its interval.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);
/// Intervals without a poll.
const MOST_MISSED: u32 = 3;

/// What the polling thread says of itself.
#[derive(Debug)]
pub struct Health {
    start: Instant,
    /// Longest time between two polls; `None` if there are none to be missed.
    patience: Option<Duration>,
    /// Milliseconds from the start to the last complete poll.
    polled_at: AtomicU64,
    is_ready: AtomicBool,
}

impl Health {
    /// Of a recorder that polls so often; without an interval it does not, and is ready at once.
    pub fn new(interval: Option<Duration>) -> Self {
        Self {
            start: Instant::now(),
            patience: interval.map(|interval| LEAST_PATIENCE.max(interval.saturating_mul(MOST_MISSED))),
            polled_at: AtomicU64::new(0),
            is_ready: AtomicBool::new(interval.is_none()),
        }
    }

    /// A complete poll was made.
    pub fn has_polled(&self) {
        self.polled_at.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// The end has begun.
    pub fn is_ending(&self) {
        self.is_ready.store(false, Ordering::Relaxed);
    }

    /// Whether all that is to be recorded is.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// Whether it looks at the kernel as it should.
    pub fn is_well(&self) -> bool {
        let polled_at = Duration::from_millis(self.polled_at.load(Ordering::Relaxed));
        self.patience.is_none_or(|patience| self.start.elapsed().saturating_sub(polled_at) <= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_polled_is_ready_and_who_has_not_for_long_is_not_well() {
        let mut health = Health::new(Some(Duration::from_secs(20)));
        assert!(health.is_well() && !health.is_ready());
        health.has_polled();
        assert!(health.is_ready());
        let before = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the clock runs");
        health.start = before(50);
        assert!(health.is_well(), "within three intervals");
        health.start = before(70);
        assert!(!health.is_well());
        health.has_polled();
        assert!(health.is_well());
        health.is_ending();
        assert!(health.is_well() && !health.is_ready());
        let mut without = Health::new(None);
        without.start = before(70);
        assert!(without.is_well() && without.is_ready());
    }
}
