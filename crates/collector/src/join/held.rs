//! Final records that wait for the account of their connection's end.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use inetdiag::Message;
use rustc_hash::FxHashMap;

use super::accounts::{Socket, Waiting};
use super::tuple::{Side, Tuple};

/// How long they wait: the capture tells of a connection once a second, and of its end at once.
pub(super) const PATIENCE: Duration = Duration::from_millis(1200);
/// How long the capture takes at most, as a rule, to tell of an end: until then it is not decided which of several accounts is whose.
pub(super) const RIPE_AFTER: Duration = Duration::from_millis(60);
/// So many wait; the oldest goes on when there is one more.
const MOST: usize = 50_000;

/// Of those that wait at one end of connections between the same ends, so many are looked at when an account comes.
const LOOKED_AT: usize = 64;

/// One final record.
#[derive(Debug)]
pub(super) struct Final {
    pub(super) message: Box<[u8]>,
    pub(super) socket: Socket,
    /// When its destroy event was fetched; `None` until that is told.
    pub(super) time: Option<DateTime<Utc>>,
    /// Whether the connection's close came, which waits behind the record.
    pub(super) is_closed: bool,
    /// Whether the capture has had the time to tell of all connections that had ended before.
    pub(super) is_ripe: bool,
}

impl Final {
    pub(super) fn waiting(&self) -> Waiting {
        Waiting { socket: self.socket, until: self.until(), is_due: self.is_ripe }
    }

    /// The time by which its connection had ended, in nanoseconds since 1970: that of its event, which is cut to the
    /// millisecond.
    fn until(&self) -> Option<u64> {
        const MILLISECOND: u64 = 1_000_000;
        let time = self.time?.timestamp_nanos_opt()?;
        Some(u64::try_from(time).ok()?.saturating_add(MILLISECOND))
    }
}

/// Those that wait, by cookie.
#[derive(Debug, Default)]
pub(super) struct Held {
    finals: FxHashMap<u64, Final>,
    /// Who waits at which end of connections between the same ends, in order.
    places: HashMap<(Tuple, Side), VecDeque<u64>>,
    /// In order, with how long they wait; `None` until it is told what time it is. Entries of those that wait no more are stale.
    order: VecDeque<(Option<Instant>, u64)>,
    /// The same of those that are not ripe, and when they will be.
    green: VecDeque<(Option<Instant>, u64)>,
}

impl Held {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.finals.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.finals.len() >= MOST
    }

    pub(super) fn insert(&mut self, message: Message<'_>, socket: Socket) {
        let Socket { cookie, tuple, side, .. } = socket;
        let waiting =
            Final { message: message.as_bytes().into(), socket, time: None, is_closed: false, is_ripe: false };
        if self.finals.insert(cookie, waiting).is_none() {
            self.places.entry((tuple, side)).or_default().push_back(cookie);
        }
        self.order.push_back((None, cookie));
        self.green.push_back((None, cookie));
    }

    /// Who waits there first.
    pub(super) fn first_at(&self, tuple: Tuple, side: Side) -> Option<u64> {
        if self.finals.is_empty() { None } else { self.places.get(&(tuple, side))?.front().copied() }
    }

    /// The first who wait there, in order; those of whom it is due are the ripe ones.
    pub(super) fn at(&self, tuple: Tuple, side: Side) -> Vec<Waiting> {
        let waiting = self.places.get(&(tuple, side)).into_iter().flatten().take(LOOKED_AT);
        waiting.filter_map(|cookie| self.finals.get(cookie)).map(Final::waiting).collect()
    }

    /// Lets the close of a connection wait behind its record; `false` if that does not wait.
    pub(super) fn close(&mut self, cookie: u64) -> bool {
        let waiting = self.finals.get_mut(&cookie);
        waiting.map(|waiting| waiting.is_closed = true).is_some()
    }

    pub(super) fn get(&self, cookie: u64) -> Option<&Final> {
        if self.finals.is_empty() { None } else { self.finals.get(&cookie) }
    }

    pub(super) fn take(&mut self, cookie: u64) -> Option<Final> {
        if self.finals.is_empty() {
            return None;
        }
        let taken = self.finals.remove(&cookie)?;
        if let Entry::Occupied(mut waiting) = self.places.entry((taken.socket.tuple, taken.socket.side)) {
            // It is the first, mostly.
            if let Some(index) = waiting.get().iter().position(|&other| other == cookie) {
                waiting.get_mut().remove(index);
            }
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
        Some(taken)
    }

    /// Gives those that have none their time.
    pub(super) fn stamp(&mut self, time: DateTime<Utc>) {
        for (_, cookie) in self.order.iter().rev().take_while(|(deadline, _)| deadline.is_none()) {
            if let Some(waiting) = self.finals.get_mut(cookie) {
                waiting.time.get_or_insert(time);
            }
        }
    }

    /// Tells what time it is: whoever came since the last call waits from now on.
    pub(super) fn tell(&mut self, now: Instant) {
        for (queue, wait) in [(&mut self.order, PATIENCE), (&mut self.green, RIPE_AFTER)] {
            for (at, _) in queue.iter_mut().rev().take_while(|(at, _)| at.is_none()) {
                *at = Some(now + wait);
            }
        }
    }

    /// The next that has become ripe.
    pub(super) fn ripe(&mut self, now: Instant) -> Option<Socket> {
        while let Some(&(at, cookie)) = self.green.front() {
            if at.is_none_or(|at| at > now) {
                return None;
            }
            self.green.pop_front();
            if let Some(waiting) = self.finals.get_mut(&cookie) {
                waiting.is_ripe = true;
                return Some(waiting.socket);
            }
        }
        None
    }

    /// Who has waited longest.
    pub(super) fn oldest(&mut self) -> Option<u64> {
        while let Some((_, cookie)) = self.order.front() {
            if self.finals.contains_key(cookie) {
                return Some(*cookie);
            }
            self.order.pop_front();
        }
        None
    }

    /// Who has waited long enough.
    pub(super) fn late(&mut self, now: Instant) -> Option<u64> {
        let oldest = self.oldest()?;
        self.deadline().is_some_and(|deadline| deadline <= now).then_some(oldest)
    }

    /// When the first of them has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.order.front().and_then(|(deadline, _)| *deadline)
    }

    /// When the next of them is ripe.
    pub(super) fn ripe_at(&self) -> Option<Instant> {
        self.green.front().and_then(|(at, _)| *at)
    }
}
