//! Parts of the sequence space that were jumped over, and have not been seen yet.

use super::seq::{after, before, earlier, later};

/// Holes that are kept; of more, those that are closest to each other become one.
const MOST: usize = 6;

/// A hole, and what is known of the segment behind it that made it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hole {
    start: u32,
    end: u32,
    /// When it opened, in microseconds, wrapping.
    pub(super) opened: u32,
    /// TSval of the segment behind it; without timestamps it says nothing.
    pub(super) tsval: u32,
}

/// The holes of a stream, in order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holes {
    holes: [Hole; MOST],
    len: u8,
}

impl Holes {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the first one begins: everything before has come.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        self.holes[..usize::from(self.len)].first().map(|hole| hole.start)
    }

    /// A segment has come behind sequence numbers from `start` up to `end` that have not.
    pub(super) fn open(&mut self, start: u32, end: u32, opened: u32, tsval: u32) {
        if usize::from(self.len) == MOST {
            self.join_closest();
        }
        self.insert(usize::from(self.len), Hole { start, end, opened, tsval });
    }

    /// Sequence numbers from `start` up to `end` have come. Says which of the holes they are in, if any.
    pub(super) fn fill(&mut self, start: u32, end: u32) -> Option<Hole> {
        let mut filled = None;
        let mut i = 0;
        while i < usize::from(self.len) {
            let hole = self.holes[i];
            if !before(hole.start, end) || !before(start, hole.end) {
                i += 1;
                continue;
            }
            filled = Some(hole);
            let (left, right) = (before(hole.start, start), before(end, hole.end));
            match (left, right) {
                (false, false) => {
                    self.remove(i);
                    continue;
                }
                (true, false) => self.holes[i].end = start,
                (false, true) => self.holes[i].start = end,
                (true, true) => {
                    self.holes[i].end = start;
                    if usize::from(self.len) == MOST {
                        // No room for two: what is behind is taken for seen.
                        return filled;
                    }
                    self.insert(i + 1, Hole { start: end, ..hole });
                }
            }
            i += 1;
        }
        filled
    }

    /// Everything before `ack` has reached the receiver, whether it was seen here or not.
    pub(super) fn acknowledge(&mut self, ack: u32) {
        while let Some(first) = self.holes[..usize::from(self.len)].first_mut() {
            if !after(ack, first.start) {
                return;
            }
            if before(ack, first.end) {
                first.start = ack;
                return;
            }
            self.remove(0);
        }
    }

    fn join_closest(&mut self) {
        let distance = |i: &usize| self.holes[i + 1].start.wrapping_sub(self.holes[*i].end);
        let Some(closest) = (0..MOST - 1).min_by_key(distance) else { return };
        let (a, b) = (self.holes[closest], self.holes[closest + 1]);
        self.remove(closest + 1);
        self.holes[closest] = Hole { start: earlier(a.start, b.start), end: later(a.end, b.end), ..a };
    }

    fn insert(&mut self, at: usize, hole: Hole) {
        self.holes[at..=usize::from(self.len)].rotate_right(1);
        self.holes[at] = hole;
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        self.holes[at..usize::from(self.len)].rotate_left(1);
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes(ranges: &[(u32, u32)]) -> Holes {
        let mut holes = Holes::default();
        ranges.iter().for_each(|&(start, end)| holes.open(start, end, 0, 0));
        holes
    }

    fn ranges(holes: &Holes) -> Vec<(u32, u32)> {
        holes.holes[..usize::from(holes.len)].iter().map(|hole| (hole.start, hole.end)).collect()
    }

    #[test]
    fn what_comes_late_fills_them() {
        let mut these = holes(&[(10, 40), (50, 60)]);
        assert!(these.fill(40, 50).is_none(), "that was there");
        assert!(these.fill(20, 30).is_some());
        assert_eq!(ranges(&these), [(10, 20), (30, 40), (50, 60)]);
        assert!(these.fill(5, 15).is_some());
        assert!(these.fill(35, 55).is_some());
        assert_eq!(ranges(&these), [(15, 20), (30, 35), (55, 60)]);
        assert!(these.fill(0, 100).is_some());
        assert!(these.is_empty());
    }

    #[test]
    fn what_is_acknowledged_is_missed_no_more() {
        let mut these = holes(&[(u32::MAX - 5, 5), (10, 20), (30, 40)]);
        these.acknowledge(2);
        assert_eq!(ranges(&these), [(2, 5), (10, 20), (30, 40)]);
        these.acknowledge(15);
        assert_eq!(ranges(&these), [(15, 20), (30, 40)]);
        these.acknowledge(40);
        assert!(these.is_empty());
    }

    #[test]
    fn of_too_many_the_closest_become_one() {
        let mut these = holes(&[(0, 10), (20, 30), (31, 40), (60, 70), (72, 74), (80, 85)]);
        these.open(100, 110, 0, 0);
        assert_eq!(ranges(&these), [(0, 10), (20, 40), (60, 70), (72, 74), (80, 85), (100, 110)]);
        assert!(these.fill(105, 106).is_some());
        assert_eq!(ranges(&these).last(), Some(&(100, 105)));
    }
}
