//! What all connections together have sent and received, and each one's part of it.
//!
//! A connection's counters are taken as they are when it is first seen, if it was there before it was looked for; else
//! from zero. What it adds from message to message goes to the totals, so that these never go back, and have the last
//! byte of each connection: its destroy event has it, whether polls saw the connection or not.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use inetdiag::{Message, TcpInfo, TcpState, attribute};
use prometheus::{Histogram, IntCounter};
use rustc_hash::FxHashMap;

use super::closings::{Closings, Direction};
use super::flow::{Flow, Known, is_ended_by_peer};

/// Connections of which the end was not heard, and that may still be heard of.
const MOST_VANISHED: usize = 10_000;
const SECOND: Duration = Duration::from_secs(1);

/// Accounts of the open connections.
#[derive(Debug)]
pub struct Ledger {
    accounts: FxHashMap<u64, Account>,
    /// Those that vanished, oldest first; some may have ended since, or have been heard of again.
    vanished: VecDeque<u64>,
    /// Whether what is seen for the first time has just begun.
    sees_all: bool,
    listening: Option<Listening>,
    sent: Total,
    received: Total,
    closings: Closings,
    /// Connections of which the kernel tells more than is known here.
    large: IntCounter,
    second: Instant,
}

/// Local ports that are listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening(Box<[u64; 1024]>);

/// A total, and how it grows from second to second.
#[derive(Debug)]
pub struct Total {
    bytes: IntCounter,
    rate: Histogram,
    last: u64,
}

#[derive(Debug)]
struct Account {
    /// `None`: it was there before.
    since: Option<Instant>,
    direction: Direction,
    is_ipv6: bool,
    /// Whether the peer was seen to have ended its side.
    has_fin: bool,
    /// Whether it vanished, and was not heard of again.
    has_vanished: bool,
    /// What it carried; `None` before the first message that says so.
    flow: Option<Flow>,
}

impl Listening {
    /// Whether a port is.
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port) / 64] >> (port % 64) & 1 == 1
    }
}

impl FromIterator<u16> for Listening {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut bits = Box::new([0u64; 1024]);
        ports.into_iter().for_each(|port| bits[usize::from(port) / 64] |= 1 << (port % 64));
        Self(bits)
    }
}

impl Total {
    /// A total that counts here, and is observed there as bits a second.
    pub fn new(bytes: IntCounter, rate: Histogram) -> Self {
        Self { last: bytes.get(), bytes, rate }
    }

    fn grow(&self, before: &mut Option<u64>, now: Option<u64>) {
        let Some(now) = now else { return };
        let more = now.saturating_sub(before.unwrap_or(0));
        if more > 0 || before.is_none() {
            self.bytes.inc_by(more);
            *before = Some(now);
        }
    }

    fn observe(&mut self, seconds: u64) {
        let now = self.bytes.get();
        let bits = (now - self.last) as f64 * 8.0 / seconds as f64;
        (0..seconds).for_each(|_| self.rate.observe(bits));
        self.last = now;
    }
}

impl Ledger {
    /// Without accounts. What is seen first counts as having been there before, until [`sees_all`](Self::sees_all).
    pub fn new(sent: Total, received: Total, closings: Closings, large: IntCounter, now: Instant) -> Self {
        Self {
            accounts: FxHashMap::default(),
            vanished: VecDeque::new(),
            sees_all: false,
            listening: None,
            sent,
            received,
            closings,
            large,
            second: now,
        }
    }

    /// From now on, what is seen for the first time has just begun; or, if not, may have been there before.
    pub fn sees_all(&mut self, it_does: bool) {
        self.sees_all = it_does;
    }

    /// The ports that are listened on now.
    pub fn set_listening(&mut self, listening: Listening) {
        self.listening = Some(listening);
    }

    /// Takes a record.
    pub fn record(&mut self, message: Message<'_>, now: Instant) {
        let account = match self.accounts.entry(message.cookie()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                if is_larger_than_known(message) {
                    self.large.inc();
                }
                place.insert(Account {
                    since: self.sees_all.then_some(now),
                    direction: direction(message, self.listening.as_ref()),
                    is_ipv6: is_ipv6(message),
                    has_fin: false,
                    has_vanished: false,
                    flow: None,
                })
            }
        };
        account.has_vanished = false;
        let known = Known { is_passive: account.direction == Direction::In, has_fin: account.has_fin };
        let state = message.header().state();
        account.has_fin |= is_ended_by_peer(state);
        let Some(flow) = Flow::of(message, known) else { return };
        let before = match account.flow {
            // It was there before: what it adds from now on counts.
            None if account.since.is_none() => {
                let received = flow.received.map(|bytes| bytes + flow.in_doubt);
                account.flow = Some(Flow { received, in_doubt: 0, ..flow });
                return;
            }
            None => Flow::default(),
            // Its counters were cleared when it was aborted here.
            Some(before) if flow.is_behind(&before) && state == Some(TcpState::Close) => return,
            // It is used for another connection.
            Some(before) if flow.is_behind(&before) => {
                account.has_fin = false;
                let mut received = before.received;
                self.received.grow(&mut received, before.all_received());
                Flow::default()
            }
            Some(before) => before,
        };
        let Flow { mut sent, mut received, .. } = before;
        self.sent.grow(&mut sent, flow.sent);
        self.received.grow(&mut received, flow.received);
        account.flow = Some(Flow { sent, received, ..flow });
    }

    /// A connection has ended; its last record was taken.
    pub fn close(&mut self, cookie: u64, now: Instant) {
        let Some(account) = self.accounts.remove(&cookie) else { return };
        let lasted = account.since.map(|since| now.saturating_duration_since(since));
        let mut flow = account.flow.unwrap_or_default();
        // If its last record was of a socket that was there, it had no FIN then.
        let all = flow.all_received();
        self.received.grow(&mut flow.received, all);
        self.closings.observe(account.is_ipv6, account.direction, lasted, &flow);
    }

    /// A connection is not recorded any more. If it should be again, it was there before.
    pub fn forget(&mut self, cookie: u64) {
        self.accounts.remove(&cookie);
    }

    /// A connection is not seen any more. Should it be heard of again, its account goes on.
    pub fn vanish(&mut self, cookie: u64, now: Instant) {
        if let Some(account) = self.accounts.get_mut(&cookie) {
            account.has_vanished = true;
        }
        self.vanished.push_back(cookie);
        if self.vanished.len() > MOST_VANISHED
            && let Some(oldest) = self.vanished.pop_front()
            && self.accounts.get(&oldest).is_some_and(|account| account.has_vanished)
        {
            self.close(oldest, now);
        }
    }

    /// Observes the rates, once a second.
    pub fn tick(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.second).as_secs();
        if seconds > 0 {
            self.second += SECOND.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX));
            self.sent.observe(seconds);
            self.received.observe(seconds);
        }
    }
}

fn is_larger_than_known(message: Message<'_>) -> bool {
    message.attribute(attribute::INET_DIAG_INFO).is_some_and(|info| info.payload.len() > TcpInfo::SIZE)
}

/// On the wire: v4-mapped addresses are of IPv4.
fn is_ipv6(message: Message<'_>) -> bool {
    let is_of_v6 = |address: std::net::IpAddr| address.to_canonical().is_ipv6();
    is_of_v6(message.header().src()) && is_of_v6(message.header().dst())
}

fn direction(message: Message<'_>, listening: Option<&Listening>) -> Direction {
    let header = message.header();
    match (header.state(), listening) {
        (Some(TcpState::SynSent), _) => Direction::Out,
        (_, Some(listening)) if listening.contains(header.id.idiag_sport.get()) => Direction::In,
        (_, Some(_)) => Direction::Out,
        (_, None) => Direction::Unknown,
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
