//! The most that was moved in a while.

use chrono::{DateTime, TimeDelta, Utc};

/// A while: shorter ones say more of the moments of polls than of the transfer.
const WHILE: TimeDelta = TimeDelta::milliseconds(100);

/// Follows a counter of bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    since: DateTime<Utc>,
    bytes: u64,
    best: Option<f64>,
}

impl Peak {
    /// Begins to follow it.
    pub fn new(time: DateTime<Utc>, bytes: u64) -> Self {
        Self { since: time, bytes, best: None }
    }

    /// The counter as it is later.
    pub fn see(&mut self, time: DateTime<Utc>, bytes: u64) {
        let passed = time - self.since;
        if passed < WHILE {
            return;
        }
        let seconds = passed.as_seconds_f64();
        self.best = max(self.best, Some(bytes.saturating_sub(self.bytes) as f64 / seconds));
        (self.since, self.bytes) = (time, bytes);
    }

    /// Goes on with what another saw later, from its first moment on.
    pub fn join(&mut self, later: Self) {
        *self = Self { best: max(self.best, later.best), ..later };
    }

    /// Bytes a second; `None` if it was followed for less than a while.
    pub fn rate(&self) -> Option<f64> {
        self.best
    }
}

fn max(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whiles_count() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).expect("a time");
        let mut peak = Peak::new(at(0), 0);
        peak.see(at(1), 1_000_000);
        assert_eq!(peak.rate(), None);
        peak.see(at(100), 1_000_000);
        peak.see(at(1100), 1_500_000);
        assert_eq!(peak.rate(), Some(10_000_000.0));
        let mut later = Peak::new(at(1100), 1_500_000);
        later.see(at(1200), 9_500_000);
        peak.join(later);
        assert_eq!(peak.rate(), Some(80_000_000.0));
    }
}
