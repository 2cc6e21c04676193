//! What happened between samples.

use super::sample::{Hold, Sample};

/// Polls further apart than this, in microseconds, do not tell a pause from a wake-up.
const LONG: u64 = 100_000;

/// Losses and what time went by with, summed up from sample to sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// Retransmission timeouts.
    pub rtos: u64,
    /// Times that loss was found, and repaired for a while.
    pub loss_episodes: u64,
    /// Microseconds with data outstanding that neither window nor buffer limited by the kernel's count, by what they ended
    /// with.
    idle: u64,
    buffer: u64,
    application: u64,
    congestion: u64,
    /// Short pauses in between, that ended in the same way.
    idle_pauses: u64,
    buffer_pauses: u64,
}

/// Time of which the kernel does not say what limited it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Microseconds with data outstanding, and nothing more to send.
    pub application: u64,
    /// Microseconds with data outstanding, that was all the send buffer could hold.
    pub buffer: u64,
    /// Microseconds in which an application was about to fill a buffer that had been full.
    pub pauses: u64,
}

impl Events {
    /// Between these two.
    pub fn between(before: &Sample, after: &Sample) -> Self {
        let rtos = match (before.total_rto, after.total_rto) {
            (Some(before), Some(after)) => after.saturating_sub(before).into(),
            // Older kernels only count those in a row.
            _ => after.retransmits.saturating_sub(before.retransmits).into(),
        };
        // Of an episode that is over before the next poll retransmissions are left.
        let retransmitted = after.total_retrans > before.total_retrans;
        let begins = !before.is_recovering && (after.is_recovering || retransmitted);
        let mut events = Self { rtos, loss_episodes: begins.into(), ..Self::default() };

        let passed = |counter: fn(&Sample) -> u64| counter(after).saturating_sub(counter(before));
        let busy = passed(|s| s.busy_time);
        let unhindered = busy.saturating_sub(passed(|s| s.rwnd_limited)).saturating_sub(passed(|s| s.sndbuf_limited));
        let all = (after.time - before.time).num_microseconds().unwrap_or(0).max(0).cast_unsigned();
        // An application is woken when there is room again: that takes a while, in which nothing is outstanding. A pause
        // that is longer than what it sends takes is its own.
        let pause = if all <= LONG { all.saturating_sub(busy).min(busy) } else { 0 };
        match after.hold {
            Hold::Idle => (events.idle, events.idle_pauses) = (unhindered, pause),
            Hold::Buffer => (events.buffer, events.buffer_pauses) = (unhindered, pause),
            Hold::Application => events.application = unhindered,
            Hold::Congestion => events.congestion = unhindered,
        }
        events
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        // Counters of a hostile archive may say anything.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.rtos, other.rtos);
        add(&mut self.loss_episodes, other.loss_episodes);
        add(&mut self.idle, other.idle);
        add(&mut self.buffer, other.buffer);
        add(&mut self.application, other.application);
        add(&mut self.congestion, other.congestion);
        add(&mut self.idle_pauses, other.idle_pauses);
        add(&mut self.buffer_pauses, other.buffer_pauses);
    }

    /// What they come to. Time that ended idle is divided as the time is that did not.
    pub fn limits(&self) -> Limits {
        let known = u128::from(self.buffer) + u128::from(self.application) + u128::from(self.congestion);
        let part = |of: u64, time: u64| match known {
            0 => 0,
            _ => (u128::from(time) * u128::from(of) / known) as u64,
        };
        let idle_application = if known == 0 { self.idle } else { part(self.application, self.idle) };
        Limits {
            application: self.application.saturating_add(idle_application),
            buffer: self.buffer.saturating_add(part(self.buffer, self.idle)),
            pauses: self.buffer_pauses.saturating_add(part(self.buffer, self.idle_pauses)),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use inetdiag::TcpInfo;

    use super::*;

    fn sample() -> Sample {
        Sample::new(DateTime::UNIX_EPOCH, &TcpInfo::decode(&[0; 248]), None)
    }

    fn after(ms: i64, busy_time: u64, hold: Hold) -> Sample {
        Sample { time: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms), busy_time, hold, ..sample() }
    }

    #[test]
    fn losses_are_counted_by_what_polls_see() {
        let count = |before: Sample, after: Sample| {
            let Events { rtos, loss_episodes, .. } = Events::between(&before, &after);
            (rtos, loss_episodes)
        };
        let recovering = Sample { is_recovering: true, total_retrans: 5, ..sample() };
        assert_eq!(count(sample(), recovering), (0, 1));
        assert_eq!(count(recovering, Sample { total_retrans: 9, ..recovering }), (0, 0), "it goes on");
        assert_eq!(count(sample(), Sample { total_retrans: 1, ..sample() }), (0, 1), "it is over already");
        assert_eq!(count(sample(), Sample { total_rto: Some(2), ..sample() }), (2, 0));
        let old = Sample { total_rto: None, ..sample() };
        assert_eq!(count(old, Sample { retransmits: 3, ..old }), (3, 0));
        assert_eq!(count(Sample { retransmits: 3, ..old }, old), (0, 0));
    }

    #[test]
    fn time_is_of_what_it_ended_with_and_idle_time_of_what_the_rest_was() {
        let mut events = Events::default();
        events.add(Events::between(&sample(), &after(10, 6000, Hold::Buffer)));
        events.add(Events::between(&sample(), &after(10, 2000, Hold::Congestion)));
        events.add(Events::between(&sample(), &after(10, 4000, Hold::Idle)));
        let Limits { application, buffer, pauses } = events.limits();
        assert_eq!((application, buffer), (0, 6000 + 3000));
        assert_eq!(pauses, 4000 + 3000);
        // A long pause is the application's.
        let slow = Events::between(&sample(), &after(500, 6000, Hold::Buffer)).limits();
        assert_eq!((slow.buffer, slow.pauses), (6000, 0));
        let idle = Events::between(&sample(), &after(10, 4000, Hold::Idle)).limits();
        assert_eq!(idle, Limits { application: 4000, ..Limits::default() });
    }
}
