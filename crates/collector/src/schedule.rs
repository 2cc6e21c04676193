//! Absolute deadlines: a late poll does not shift the ones behind it.

use std::time::{Duration, Instant};

/// The deadlines of polls: the start and every interval from there.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    next: Instant,
    interval: Duration,
}

impl Schedule {
    /// The first deadline is `start`.
    pub fn new(start: Instant, interval: Duration) -> Self {
        Self { next: start, interval }
    }

    /// The next deadline.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Goes to the first deadline after `now`, and says how many were passed over because they have gone by.
    pub fn advance(&mut self, now: Instant) -> u64 {
        self.next += self.interval;
        let late = now.saturating_duration_since(self.next);
        if late.is_zero() {
            return 0;
        }
        let missed = late.as_nanos() / self.interval.as_nanos().max(1) + 1;
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        self.next += self.interval.saturating_mul(missed);
        missed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_absolute_and_missed_ones_counted() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::new(start, Duration::from_millis(10));
        assert_eq!(schedule.advance(at(3)), 0);
        assert_eq!(schedule.next(), at(10));
        assert_eq!(schedule.advance(at(18)), 0);
        assert_eq!(schedule.next(), at(20));
        assert_eq!(schedule.advance(at(55)), 3);
        assert_eq!(schedule.next(), at(60));
    }
}
