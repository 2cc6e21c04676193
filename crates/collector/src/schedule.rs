//! When to poll: absolute deadlines, stretched while polls cost more than they may.

use std::time::{Duration, Instant};

/// Polls of the last so many count, each one less than the one after it.
const SMOOTHING: u32 = 8;
/// Time over which the achieved interval is a mean.
const ACHIEVED_OVER: Duration = Duration::from_secs(1);

/// The deadlines of polls. A late poll does not shift the ones behind it.
#[derive(Debug, Clone)]
pub struct Schedule {
    meant: Duration,
    /// Most of one core that polls may take.
    max_cpu: f64,
    next: Instant,
    /// CPU time of a poll, smoothed; `None` before the first.
    cost: Option<Duration>,
    /// Begin of the time that the achieved interval is measured over, and the polls since.
    since: Instant,
    polls: u32,
    achieved: Duration,
}

impl Schedule {
    /// The first deadline is `start`; the others follow at the interval that is `meant`, or further apart where polls
    /// would else take more than `max_cpu` of one core (0.5 is half of it).
    pub fn new(start: Instant, meant: Duration, max_cpu: f64) -> Self {
        Self { meant, max_cpu, next: start, cost: None, since: start, polls: 0, achieved: meant }
    }

    /// The next deadline.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The interval that is kept now: the one that is meant, unless polls cost too much.
    pub fn interval(&self) -> Duration {
        self.cost.map_or(self.meant, |cost| self.meant.max(cost.div_f64(self.max_cpu)))
    }

    /// Whether polls cost too much for the interval that is meant.
    pub fn is_stretched(&self) -> bool {
        self.interval() > self.meant
    }

    /// Mean time from poll to poll, over about the last second.
    pub fn achieved(&self) -> Duration {
        self.achieved
    }

    /// After a poll that took `cost` of CPU: goes to the first deadline after `now`, and says how many were passed over
    /// because they have gone by.
    pub fn advance(&mut self, now: Instant, cost: Duration) -> u64 {
        match self.cost {
            Some(_) => self.polls += 1,
            // No interval precedes the first poll.
            None => self.since = now,
        }
        self.cost = Some(self.cost.map_or(cost, |smoothed| (smoothed * (SMOOTHING - 1) + cost) / SMOOTHING));
        let measured = now.saturating_duration_since(self.since);
        if measured >= ACHIEVED_OVER && self.polls > 0 {
            self.achieved = measured / self.polls;
            (self.since, self.polls) = (now, 0);
        }
        let interval = self.interval();
        self.next += interval;
        let late = now.saturating_duration_since(self.next);
        if late.is_zero() {
            return 0;
        }
        let missed = late.as_nanos() / interval.as_nanos().max(1) + 1;
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        self.next += interval.saturating_mul(missed);
        missed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEANT: Duration = Duration::from_millis(10);

    #[test]
    fn deadlines_are_absolute_and_missed_ones_counted() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::new(start, MEANT, 0.5);
        assert_eq!(schedule.advance(at(3), Duration::ZERO), 0);
        assert_eq!(schedule.next(), at(10));
        assert_eq!(schedule.advance(at(18), Duration::ZERO), 0);
        assert_eq!(schedule.next(), at(20));
        assert_eq!(schedule.advance(at(55), Duration::ZERO), 3);
        assert_eq!(schedule.next(), at(60));
    }

    /// Polls that cost `cost`, and end when their CPU time is over.
    fn polls(schedule: &mut Schedule, number: usize, cost: Duration) {
        for _ in 0..number {
            schedule.advance(schedule.next() + cost, cost);
        }
    }

    #[test]
    fn polls_that_cost_too_much_stretch_the_interval_and_cheap_ones_shrink_it_back() {
        let mut schedule = Schedule::new(Instant::now(), MEANT, 0.25);
        polls(&mut schedule, 3, Duration::from_millis(2));
        assert_eq!(schedule.interval(), MEANT, "2 ms of 10 are less than a quarter");
        polls(&mut schedule, 100, Duration::from_millis(5));
        let stretched = schedule.interval();
        assert!(stretched.abs_diff(Duration::from_millis(20)) < Duration::from_micros(10), "{stretched:?}");
        let late = schedule.next() + Duration::from_millis(19);
        assert_eq!(schedule.advance(late, Duration::from_millis(5)), 0, "a deadline put off is not missed");
        polls(&mut schedule, 100, Duration::from_millis(1));
        assert_eq!(schedule.interval(), MEANT);
    }

    #[test]
    fn the_achieved_interval_is_what_lies_between_polls() {
        let mut slow = Schedule::new(Instant::now(), Duration::from_secs(5), 0.5);
        polls(&mut slow, 2, Duration::from_millis(1));
        assert_eq!(slow.achieved(), Duration::from_secs(5), "nothing precedes the first poll");
        let mut schedule = Schedule::new(Instant::now(), MEANT, 0.5);
        polls(&mut schedule, 150, Duration::from_millis(1));
        assert!(schedule.achieved().abs_diff(MEANT) < Duration::from_micros(200), "{:?}", schedule.achieved());
        polls(&mut schedule, 150, Duration::from_millis(15));
        let stretched = Duration::from_millis(30);
        assert!(schedule.achieved().abs_diff(stretched) < Duration::from_millis(1), "{:?}", schedule.achieved());
    }
}
