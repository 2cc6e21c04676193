//! What the log says of the capture, now and then.

use std::time::{Duration, Instant};

use streams::live::Gathered;

/// Between two summaries.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);
/// Trouble that comes again within this time is not told anew.
const QUIET: Duration = Duration::from_secs(60);

/// Remembers what was told.
#[derive(Debug)]
pub struct Watch {
    summary_at: Instant,
    untracked: Trouble,
}

/// A counter that ought not to grow.
#[derive(Debug, Default)]
struct Trouble {
    count: u64,
    last: Option<Instant>,
}

impl Watch {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        Self { summary_at: now + SUMMARY_EVERY, untracked: Trouble::default() }
    }

    /// Takes what there is now. Tells when there are too many streams, and once a minute how it goes.
    pub fn look(&mut self, gathered: &Gathered, now: Instant) {
        let untracked = gathered.frames.untracked;
        if self.untracked.begins(untracked, now) {
            tracing::warn!(untracked, "there are more streams than --max-streams: nothing is known of the others");
        }
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

impl Trouble {
    /// Whether it grows, and has not for a while.
    fn begins(&mut self, count: u64, now: Instant) -> bool {
        if count <= self.count {
            return false;
        }
        self.count = count;
        let before = self.last.replace(now);
        before.is_none_or(|before| now.saturating_duration_since(before) >= QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_when_it_begins_and_not_while_it_lasts() {
        let (mut trouble, begin) = (Trouble::default(), Instant::now());
        let told: Vec<_> = [(0, 0), (3, 10), (5, 20), (5, 60), (9, 75), (9, 120), (10, 140)]
            .into_iter()
            .map(|(count, seconds)| trouble.begins(count, begin + Duration::from_secs(seconds)))
            .collect();
        assert_eq!(told, [false, true, false, false, false, false, true]);
    }
}
