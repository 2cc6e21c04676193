//! When to look at connections again: a wheel of one slot a second.

/// Slots; who is to be looked at later than that is looked at then, and put back.
const SLOTS: usize = 1024;
const NANOSECONDS: u64 = 1_000_000_000;

/// Numbers of connections, by the second at which they are to be looked at. The order within a slot says nothing.
///
/// Those of one slot are a list whose links are here, beside the connections: adding one is two writes, and none is ever
/// searched for.
#[derive(Debug)]
pub(super) struct Wheel {
    heads: Vec<Option<u32>>,
    /// Next in the list of its slot, by number of the connection.
    links: Vec<Option<u32>>,
    /// The second up to which slots have been emptied.
    second: u64,
    /// What is left of the slots emptied so far.
    due: Option<u32>,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { heads: vec![None; SLOTS], links: Vec::new(), second: 0, due: None }
    }

    /// Has a connection come up at this time, in nanoseconds since 1970, or a second later. It is `now`.
    pub(super) fn add(&mut self, number: u32, now: u64, time: u64) {
        self.begin(now);
        let first = self.second + 1;
        let second = (time / NANOSECONDS + 1).clamp(first, self.second + SLOTS as u64);
        let index = number as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, None);
        }
        let head = &mut self.heads[second as usize % SLOTS];
        self.links[index] = head.replace(number);
    }

    /// The first time that is told is where it begins.
    fn begin(&mut self, now: u64) {
        if self.second == 0 {
            self.second = (now / NANOSECONDS).saturating_sub(1);
        }
    }

    /// Goes on to the time `now`; the next one that is due, if one is left.
    pub(super) fn next(&mut self, now: u64) -> Option<u32> {
        let second = now / NANOSECONDS;
        self.begin(now);
        loop {
            if let Some(number) = self.due {
                self.due = self.links[number as usize].take();
                return Some(number);
            }
            if self.second >= second {
                return None;
            }
            // After a long leap, once around is all there is.
            self.second = (self.second + 1).max(second.saturating_sub(SLOTS as u64));
            self.due = self.heads[self.second as usize % SLOTS].take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u32; 0] = [];
    const NOW: u64 = 1000 * NANOSECONDS;

    fn due(wheel: &mut Wheel, second: u64) -> Vec<u32> {
        std::iter::from_fn(|| wheel.next(second * NANOSECONDS)).collect()
    }

    #[test]
    fn each_comes_up_once_at_its_second_or_the_next() {
        let mut wheel = Wheel::new();
        assert_eq!(due(&mut wheel, 1000), NONE);
        wheel.add(0, NOW, 1005 * NANOSECONDS + 1);
        wheel.add(7, NOW, 1005 * NANOSECONDS);
        wheel.add(3, NOW, 1002 * NANOSECONDS);
        wheel.add(4, NOW, 5);
        assert_eq!(due(&mut wheel, 1001), [4]);
        assert_eq!(due(&mut wheel, 1002), NONE);
        assert_eq!(due(&mut wheel, 1003), [3]);
        assert_eq!(due(&mut wheel, 1005), NONE);
        assert_eq!(due(&mut wheel, 1006), [7, 0]);
        assert_eq!(due(&mut wheel, 9999), NONE);
    }

    #[test]
    fn a_leap_loses_none_and_what_is_far_away_comes_up_early() {
        let mut wheel = Wheel::new();
        assert_eq!(due(&mut wheel, 1000), NONE);
        (0..2000).for_each(|number| wheel.add(number, NOW, (1000 + u64::from(number)) * NANOSECONDS));
        let mut all = due(&mut wheel, 1_000_000);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..2000));
        wheel.add(9, NOW, u64::MAX);
        assert_eq!(due(&mut wheel, 1_000_000 + SLOTS as u64), [9]);
    }

    #[test]
    fn a_clock_that_is_set_back_waits() {
        let mut wheel = Wheel::new();
        assert_eq!(due(&mut wheel, 1000), NONE);
        wheel.add(1, NOW, 900 * NANOSECONDS);
        assert_eq!(due(&mut wheel, 900), NONE);
        assert_eq!(due(&mut wheel, 1001), [1]);
    }

    #[test]
    fn who_is_added_before_the_first_turn_comes_up_in_time() {
        let mut wheel = Wheel::new();
        wheel.add(3, NOW, 1002 * NANOSECONDS);
        assert_eq!(due(&mut wheel, 1002), NONE);
        assert_eq!(due(&mut wheel, 1003), [3]);
    }
}
