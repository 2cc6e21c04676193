//! When to poll: absolute deadlines, stretched while recording costs more than it may.

use std::time::{Duration, Instant};

/// Polls of the last so many count, each one less than the one after it.
const SMOOTHING: u32 = 8;
/// Time over which the achieved interval, and what all else but polls takes, are means.
const MEASURED_OVER: Duration = Duration::from_secs(1);
/// Polls may take this part of the CPU whatever all else takes: a recorder that does not look records little.
const POLLS_AT_LEAST: f64 = 0.25;

/// The deadlines of polls. A late poll does not shift the ones behind it.
#[derive(Debug, Clone)]
pub struct Schedule {
    meant: Duration,
    /// Most of one core that the process may take, and what of it is left for polls.
    max_cpu: f64,
    for_polls: f64,
    next: Instant,
    /// CPU time of a poll, smoothed; `None` before the first.
    cost: Option<Duration>,
    measured: Measured,
    achieved: Duration,
}

/// What happened since means were last taken.
#[derive(Debug, Clone, Copy)]
struct Measured {
    since: Instant,
    polls: u32,
    /// CPU time of these polls, and of the process when they began.
    cost: Duration,
    process: Duration,
}

impl Schedule {
    /// The first deadline is `start`; the others follow at the interval that is `meant`, or further apart where the
    /// process would else take more than `max_cpu` of one core (0.5 is half of it).
    pub fn new(start: Instant, meant: Duration, max_cpu: f64) -> Self {
        let measured = Measured { since: start, polls: 0, cost: Duration::ZERO, process: Duration::ZERO };
        Self { meant, max_cpu, for_polls: max_cpu, next: start, cost: None, measured, achieved: meant }
    }

    /// The next deadline.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The interval that is kept now: the one that is meant, unless polls cost too much.
    pub fn interval(&self) -> Duration {
        self.cost.map_or(self.meant, |cost| self.meant.max(cost.div_f64(self.for_polls)))
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
    /// because they have gone by. `process_cpu` tells what the process has taken so far, and is asked once a second.
    pub fn advance(&mut self, now: Instant, cost: Duration, process_cpu: impl FnOnce() -> Duration) -> u64 {
        self.measure(now, cost, process_cpu);
        self.cost = Some(self.cost.map_or(cost, |smoothed| (smoothed * (SMOOTHING - 1) + cost) / SMOOTHING));
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

    fn measure(&mut self, now: Instant, cost: Duration, process_cpu: impl FnOnce() -> Duration) {
        let Measured { since, polls, cost: before, process } = self.measured;
        let restart = |process| Measured { since: now, polls: 0, cost: Duration::ZERO, process };
        if self.cost.is_none() {
            // No interval precedes the first poll.
            self.measured = restart(process_cpu());
            return;
        }
        let (polls, cost) = (polls + 1, before + cost);
        self.measured = Measured { since, polls, cost, process };
        let passed = now.saturating_duration_since(since);
        if passed < MEASURED_OVER {
            return;
        }
        let process_now = process_cpu();
        let beside_polls = process_now.saturating_sub(process).saturating_sub(cost);
        let left = self.max_cpu - beside_polls.div_duration_f64(passed);
        let for_polls = left.max(self.max_cpu * POLLS_AT_LEAST);
        // The mean of this second and those before it: files are written in bursts.
        self.for_polls = (self.for_polls + for_polls) / 2.0;
        self.achieved = passed / polls;
        self.measured = restart(process_now);
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
        let advance = |schedule: &mut Schedule, at| schedule.advance(at, Duration::ZERO, || Duration::ZERO);
        assert_eq!(advance(&mut schedule, at(3)), 0);
        assert_eq!(schedule.next(), at(10));
        assert_eq!(advance(&mut schedule, at(18)), 0);
        assert_eq!(schedule.next(), at(20));
        assert_eq!(advance(&mut schedule, at(55)), 3);
        assert_eq!(schedule.next(), at(60));
    }

    /// Polls that cost `cost`, and end when their CPU time is over; nothing else takes any.
    fn polls(schedule: &mut Schedule, number: u32, cost: Duration) {
        polls_beside(schedule, number, cost, 0.0);
    }

    /// The same while all else takes `beside` of one core.
    fn polls_beside(schedule: &mut Schedule, number: u32, cost: Duration, beside: f64) {
        let start = schedule.next();
        for number in 1..=number {
            let now = schedule.next() + cost;
            let process = cost * number + (now - start).mul_f64(beside);
            schedule.advance(now, cost, || process);
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
        assert_eq!(
            schedule.advance(late, Duration::from_millis(5), || Duration::ZERO),
            0,
            "a deadline put off is not missed"
        );
        polls(&mut schedule, 100, Duration::from_millis(1));
        assert_eq!(schedule.interval(), MEANT);
    }

    #[test]
    fn what_all_else_takes_is_not_there_for_polls_but_for_a_quarter() {
        for (beside, interval) in [(0.0, 20), (0.25, 40), (0.45, 80), (3.0, 80)] {
            let mut schedule = Schedule::new(Instant::now(), MEANT, 0.5);
            polls_beside(&mut schedule, 1000, Duration::from_millis(10), beside);
            let interval = Duration::from_millis(interval);
            assert!(schedule.interval().abs_diff(interval) < Duration::from_millis(1), "{:?}", schedule.interval());
        }
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
