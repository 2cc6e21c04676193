//! Packets and kernel state on one line: attaches what the capture tells of a connection to its records.
//!
//! The capture sends [`Account`]s. The newest of each connection is kept; when a record of its socket passes and there is
//! one that no record has, it goes with it. That is at most one a second. Unchanged sockets have no record, so
//! nothing is looked up for them.
//!
//! The last packets of a connection and the destroy event of its socket come at about the same time, on two ways. So the final
//! record waits until the capture tells of the end, but not for long; the event's time is kept. Then it gets the newest account,
//! whether another record had it or not.
//!
//! # Addresses and ports that are used again
//!
//! Connections between the same ends follow each other, here as sockets and there as accounts, and of both some may be missing or late. A
//! socket that polls see claims the newest account that goes on, if its connection had begun before the poll, unless a final
//! record still waits for its own there. Final records whose sockets have claimed none are matched with accounts that have ended
//! and are nobody's, in order: those that have about as many packets as the kernel counted segments, and whose last packet was
//! about when the socket was active for the last time. That is decided when the capture has had the time to tell of all that had
//! ended by then. What has been claimed is never another's, and when its socket has ended it is of the past: later packets of
//! it change nothing.

mod accounts;
mod counters;
mod held;
mod known;
mod pairs;
mod segments;
mod tuple;

#[cfg(test)]
mod reuse_tests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use crossbeam_channel::Receiver;
use inetdiag::{Message, Streams, TcpInfo, attribute};
use streams::Account;

use accounts::{Accounts, Put, Socket, Waiting};
pub use counters::Counters;
use held::{Final, Held};
use known::Fit;
use segments::Segments;
use tuple::{Side, Tuple};

/// Accounts of so many connections are kept, in 190 MB.
const MOST_ACCOUNTS: usize = 200_000;
/// How often accounts are fetched at least, however rarely polls are made.
const FETCH_EVERY: Duration = Duration::from_secs(1);
/// Final records that have waited long enough within this time go on together.
const GATHER: Duration = Duration::from_millis(10);

/// A final record that waits no more.
#[derive(Debug)]
pub struct Released {
    /// The socket.
    pub message: Box<[u8]>,
    /// When its destroy event was fetched; `None` if that has not been told yet.
    pub time: Option<DateTime<Utc>>,
    /// What packets said.
    pub streams: Option<Streams>,
    /// Whether the connection's close follows.
    pub is_closed: bool,
}

/// Finds what packets said of the connection that a record is of.
#[derive(Debug)]
pub struct Joiner {
    incoming: Receiver<Account>,
    accounts: Accounts,
    held: Held,
    released: VecDeque<Released>,
    fetched: Instant,
    /// The same in nanoseconds since 1970. The poll whose records come was made later.
    fetched_at: u64,
    counters: Counters,
}

impl Joiner {
    /// One that gets accounts from the capture, from now on.
    pub fn new(incoming: Receiver<Account>, counters: Counters, now: Instant) -> Self {
        Self {
            incoming,
            accounts: Accounts::new(MOST_ACCOUNTS),
            held: Held::default(),
            released: VecDeque::new(),
            fetched: now,
            fetched_at: 0,
            counters,
        }
    }

    /// For the record of a poll: what no record of the socket has yet.
    pub fn news(&mut self, message: Message<'_>) -> Option<Streams> {
        // It is alive after all: what waits was before.
        self.release(message.cookie());
        self.take_all(self.fetched);
        let socket = socket(message, None);
        let is_first = self.held.first_at(socket.tuple, socket.side).is_none();
        let until = if is_first { self.fetched_at } else { 0 };
        let streams = self.accounts.news(socket, until, self.fetched)?;
        self.counters.attached.inc();
        Some(streams)
    }

    /// For a final record: `None` if it is held back, else the newest there is.
    pub fn last(&mut self, message: Message<'_>) -> Option<Streams> {
        self.last_at(message, Utc::now())
    }

    fn last_at(&mut self, message: Message<'_>, now: DateTime<Utc>) -> Option<Streams> {
        self.take_all(self.fetched);
        let socket = socket(message, Some(now));
        if self.accounts.is_complete(socket) {
            self.counters.attached.inc();
            let is_first = self.held.first_at(socket.tuple, socket.side).is_none();
            return self.accounts.last(socket, is_first);
        }
        if self.held.is_full()
            && let Some(oldest) = self.held.oldest()
        {
            self.release(oldest);
        }
        self.held.insert(message, socket);
        None
    }

    /// Whether the close of this connection is held back: it follows its final record.
    pub fn close(&mut self, cookie: u64) -> bool {
        let is_held = self.held.close(cookie);
        if !is_held {
            self.accounts.end(cookie);
        }
        is_held
    }

    /// Nothing is heard of this connection any more.
    pub fn vanish(&mut self, cookie: u64) {
        self.release(cookie);
        self.accounts.vanish(cookie);
    }

    /// Gives what came since the last call its time.
    pub fn stamp(&mut self, time: DateTime<Utc>) {
        self.held.stamp(time);
    }

    /// Fetches accounts, and lets go of final records that have theirs, or have waited long enough.
    pub fn fetch(&mut self, now: Instant) {
        self.fetch_at(now, Utc::now());
    }

    fn fetch_at(&mut self, now: Instant, time: DateTime<Utc>) {
        self.fetched = now;
        self.fetched_at = time.timestamp_nanos_opt().and_then(|time| u64::try_from(time).ok()).unwrap_or(0);
        self.held.tell(now);
        self.take_all(now);
        while let Some(Socket { tuple, side, .. }) = self.held.ripe(now) {
            self.settle(tuple, side);
        }
        while let Some(cookie) = self.held.late(now) {
            self.release(cookie);
        }
        self.accounts.forget_old(now);
        self.counters.unmatched.inc_by(std::mem::take(&mut self.accounts.unmatched));
    }

    /// When to fetch again at the latest.
    pub fn fetch_again_at(&self) -> Instant {
        let regular = self.fetched + FETCH_EVERY;
        let next = self.held.deadline().into_iter().chain(self.held.ripe_at()).min();
        next.map_or(regular, |next| next.clamp(self.fetched + GATHER, regular))
    }

    /// Lets go of all that waits.
    pub fn finish(&mut self, now: Instant) {
        self.fetch(now);
        while let Some(cookie) = self.held.oldest() {
            self.release(cookie);
        }
    }

    /// The next of the final records that were let go.
    pub fn released(&mut self) -> Option<Released> {
        self.released.pop_front()
    }

    /// Takes what the capture has told of. Not what comes meanwhile: the capture may be faster.
    fn take_all(&mut self, now: Instant) {
        let mut told = Vec::new();
        for _ in 0..self.incoming.len() {
            let Ok(account) = self.incoming.try_recv() else { break };
            let (tuple, from) = Tuple::of_packets(account.a, account.b);
            if self.accounts.put(tuple, from, &account, now) == Put::Full {
                self.counters.dropped.inc();
            }
            told.extend(
                Side::BOTH
                    .map(|side| (tuple, side))
                    .iter()
                    .filter(|(tuple, side)| self.held.first_at(*tuple, *side).is_some()),
            );
        }
        // Only when all is taken: the next account may fit better.
        for (tuple, side) in told {
            self.settle(tuple, side);
        }
    }

    /// Lets go of those that wait at one end of connections between the same ends, as far as it is known whose accounts are whose.
    fn settle(&mut self, tuple: Tuple, side: Side) {
        let waiting = self.held.at(tuple, side);
        self.accounts.match_up(&waiting, Fit::Well);
        for Waiting { socket, .. } in waiting {
            if self.accounts.is_complete(socket) {
                self.release(socket.cookie);
            }
        }
    }

    /// Lets go of a final record, with what there is.
    fn release(&mut self, cookie: u64) {
        let Some(held) = self.held.get(cookie) else { return };
        let socket @ Socket { tuple, side, .. } = held.socket;
        let is_first = self.held.first_at(tuple, side) == Some(cookie);
        if !self.accounts.is_claimed_by(socket) {
            let due = |waiting: Waiting| Waiting { is_due: waiting.socket.cookie == cookie, ..waiting };
            let waiting: Vec<_> = self.held.at(tuple, side).into_iter().map(due).collect();
            self.accounts.match_up(&waiting, Fit::Possibly);
        }
        let is_whole = self.accounts.is_complete(socket);
        let streams = self.accounts.last(socket, is_first);
        self.counters.attached.inc_by(u64::from(streams.is_some()));
        self.counters.without_end.inc_by(u64::from(!is_whole));
        let Some(Final { message, time, is_closed, .. }) = self.held.take(cookie) else { return };
        self.released.push_back(Released { message, time, streams, is_closed });
    }
}

/// The socket of a message that came `now`, if that is known.
fn socket(message: Message<'_>, now: Option<DateTime<Utc>>) -> Socket {
    let (tuple, side) = Tuple::of_socket(message.header());
    let info = message.attribute(attribute::INET_DIAG_INFO).map(|info| TcpInfo::decode(info.payload));
    let segments = info.as_ref().map(Segments::of).unwrap_or_default();
    let active = || {
        let active = now? - chrono::Duration::milliseconds(info.as_ref()?.last_activity()?.into());
        u64::try_from(active.timestamp_nanos_opt()?).ok()
    };
    Socket { tuple, side, cookie: message.cookie(), segments, active: active() }
}
