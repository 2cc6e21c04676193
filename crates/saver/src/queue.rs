//! A queue of which entries may become stale, because what they stand for has happened otherwise.

use std::collections::VecDeque;
use std::collections::vec_deque::IntoIter;

/// A queue shorter than this is left alone.
const SHORT: usize = 1024;

/// First in, first out. Stale entries are removed once it has doubled, so that it stays in proportion to the live ones.
#[derive(Debug, Clone)]
pub(crate) struct Queue<T> {
    entries: VecDeque<T>,
    prune_at: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), prune_at: SHORT }
    }
}

impl<T> Queue<T> {
    /// Appends an entry.
    pub(crate) fn push(&mut self, entry: T, is_live: impl FnMut(&T) -> bool) {
        if self.entries.len() >= self.prune_at {
            self.entries.retain(is_live);
            self.prune_at = SHORT.max(2 * self.entries.len());
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.entries.front()
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<T> IntoIterator for Queue<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_entries_do_not_pile_up_and_live_ones_keep_their_order() {
        let mut queue = Queue::default();
        let is_live = |number: &u32| number.is_multiple_of(100);
        for number in 0..1_000_000 {
            queue.push(number, is_live);
        }
        assert!(queue.len() <= 2 * 10_000 + 1, "{}", queue.len());
        let live: Vec<_> = queue.into_iter().filter(is_live).collect();
        assert!(live.into_iter().eq((0..1_000_000).step_by(100)));
    }
}
