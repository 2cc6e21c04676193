//! One log line per kind of trouble every so often: what happens a hundred times a second must not fill the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(10);

/// Remembers when each kind of trouble was last logged. The counters count them all.
#[derive(Debug, Default)]
pub struct LogLimiter {
    last: HashMap<&'static str, Instant>,
}

impl LogLimiter {
    /// Whether trouble of this kind may be logged now.
    pub fn allows(&mut self, kind: &'static str) -> bool {
        self.allows_at(kind, Instant::now())
    }

    fn allows_at(&mut self, kind: &'static str, now: Instant) -> bool {
        let due = self.last.get(kind).is_none_or(|&last| now.saturating_duration_since(last) >= INTERVAL);
        if due {
            self.last.insert(kind, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_allowed_once_per_interval() {
        let (mut limiter, now) = (LogLimiter::default(), Instant::now());
        assert!(limiter.allows_at("a", now) && limiter.allows_at("b", now));
        assert!(!limiter.allows_at("a", now + Duration::from_secs(9)));
        assert!(limiter.allows_at("a", now + INTERVAL));
    }
}
