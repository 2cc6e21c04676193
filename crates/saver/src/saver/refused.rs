//! Files that the disk refused to finish, by what refused them: each place is tried again with one file, and with the
//! others only once that one went through. So one day's directory that fails does not hold up the others.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::NaiveDate;

use super::RETRY_AFTER;
use crate::queue::Queue;

/// So many files wait for one place.
const MOST: usize = 10_000;

/// Where a file could not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Its last records could not be written.
    Spool,
    /// It could not be given its place under this day.
    Day(NaiveDate),
}

/// A file that is to be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) cookie: u64,
    /// When it was begun, to know it from a later one of its connection; `None` if there was none yet.
    pub(super) opened: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Refused {
    places: BTreeMap<Place, Waiting>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    again_at: Instant,
    files: Queue<Due>,
}

impl Refused {
    /// Whether files for this place have to wait.
    pub(super) fn waits_for(&self, place: Place) -> bool {
        self.places.contains_key(&place)
    }

    /// Takes a file that was refused. Where too many wait, the first of them is handed back: it waits no longer.
    pub(super) fn push(
        &mut self,
        place: Place,
        due: Due,
        now: Instant,
        is_live: impl FnMut(&Due) -> bool,
    ) -> Option<Due> {
        let waiting = self.places.entry(place).or_insert_with(|| Waiting::until(now + RETRY_AFTER));
        waiting.files.push(due, is_live);
        if place != Place::Spool && waiting.files.len() > MOST { waiting.files.pop() } else { None }
    }

    /// Takes out a place that is to be tried again.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Place, Waiting)> {
        let place = *self.places.iter().find(|(_, waiting)| waiting.again_at <= now)?.0;
        self.places.remove_entry(&place)
    }

    /// Puts back a place that refused again.
    pub(super) fn put_back(&mut self, place: Place, waiting: Waiting, now: Instant) {
        self.places.insert(place, Waiting { again_at: now + RETRY_AFTER, ..waiting });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.values().map(|waiting| waiting.files.len()).sum()
    }
}

impl Waiting {
    fn until(again_at: Instant) -> Self {
        Self { again_at, files: Queue::default() }
    }

    /// The file to try with next; another one each time.
    pub(super) fn pop(&mut self) -> Option<Due> {
        self.files.pop()
    }

    pub(super) fn files(self) -> Queue<Due> {
        self.files
    }
}
