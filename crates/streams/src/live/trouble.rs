//! Counters that ought not to grow, and when to tell that they do.

use std::time::{Duration, Instant};

/// Trouble that comes again within this time is not told anew.
const QUIET: Duration = Duration::from_secs(60);

/// A counter that ought not to grow.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    count: u64,
    last: Option<Instant>,
}

impl Trouble {
    /// Whether it grows, and has not for a while.
    pub(super) fn begins(&mut self, count: u64, now: Instant) -> bool {
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
