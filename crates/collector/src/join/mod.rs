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
//! An account is claimed by the cookie of the first socket that asks for it, and is never another's. Once that socket has ended, the
//! account is of the past: later packets of that connection change nothing, and a new socket has to wait until the capture tells of a
//! connection that began at another time. A socket that a poll sees does not claim a connection that has ended.

mod accounts;
mod counters;
mod held;
mod tuple;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use crossbeam_channel::Receiver;
use inetdiag::{Message, Streams};
use streams::Account;

use accounts::{Accounts, Put};
pub use counters::Counters;
use held::{Final, Held};
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
            counters,
        }
    }

    /// For the record of a poll: what no record of the socket has yet.
    pub fn news(&mut self, message: Message<'_>) -> Option<Streams> {
        // It is alive after all: what waits was before.
        self.release(message.cookie());
        let (tuple, side) = Tuple::of_socket(message.header());
        let streams = self.accounts.news(tuple, side, message.cookie())?;
        self.counters.attached.inc();
        Some(streams)
    }

    /// For a final record: `None` if it is held back, else the newest there is.
    pub fn last(&mut self, message: Message<'_>) -> Option<Streams> {
        let (cookie, (tuple, side)) = (message.cookie(), Tuple::of_socket(message.header()));
        if let Some(other) = self.held.at(tuple, side) {
            // Its addresses and ports were free again.
            self.release(other);
        }
        if self.accounts.has_ended(tuple, side, cookie) {
            self.counters.attached.inc();
            return self.accounts.last(tuple, side, cookie);
        }
        if self.held.is_full()
            && let Some(oldest) = self.held.oldest()
        {
            self.release(oldest);
        }
        self.held.insert(message, tuple, side);
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
        self.fetched = now;
        self.held.tell(now);
        // Not those that come meanwhile: the capture may be faster.
        for _ in 0..self.incoming.len() {
            let Ok(account) = self.incoming.try_recv() else { break };
            self.take(&account, now);
        }
        while let Some(cookie) = self.held.late(now) {
            self.release(cookie);
        }
        self.counters.unmatched.inc_by(self.accounts.forget_old(now));
    }

    /// When to fetch again at the latest.
    pub fn fetch_again_at(&self) -> Instant {
        let regular = self.fetched + FETCH_EVERY;
        self.held.deadline().map_or(regular, |deadline| deadline.clamp(self.fetched + GATHER, regular))
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

    fn take(&mut self, account: &Account, now: Instant) {
        let (tuple, from) = Tuple::of_packets(account.a, account.b);
        if self.accounts.is_of_another(tuple, account.began) {
            for side in Side::BOTH {
                if let Some(cookie) =
                    self.held.at(tuple, side).filter(|&cookie| self.accounts.is_of(tuple, side, cookie))
                {
                    self.release(cookie);
                }
            }
            self.accounts.forget(tuple);
        }
        if self.accounts.put(tuple, from, account, now) == Put::Full {
            self.counters.dropped.inc();
        }
        for side in Side::BOTH {
            if let Some(cookie) = self.held.at(tuple, side)
                && self.accounts.has_ended(tuple, side, cookie)
            {
                self.release(cookie);
            }
        }
    }

    /// Lets go of a final record, with what there is.
    fn release(&mut self, cookie: u64) {
        let Some(held) = self.held.take(cookie) else { return };
        let is_whole = self.accounts.has_ended(held.tuple, held.side, cookie);
        let streams = self.accounts.last(held.tuple, held.side, cookie);
        self.counters.attached.inc_by(u64::from(streams.is_some()));
        self.counters.without_end.inc_by(u64::from(!is_whole));
        let Final { message, time, is_closed, .. } = held;
        self.released.push_back(Released { message, time, streams, is_closed });
    }
}
