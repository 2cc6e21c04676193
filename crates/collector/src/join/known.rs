//! One connection as the capture knows it, and whose it is.

use std::time::{Duration, Instant};

use inetdiag::{StreamStatistics, Streams};
use streams::Account;

use super::accounts::Waiting;
use super::segments::Segments;
use super::tuple::Side;

/// How long an account stays that no record asked for, if no other follows: packets that this host forwards, say.
const UNCLAIMED_FOR: Duration = Duration::from_secs(120);
/// From when a poll sees a socket until its record is looked at, no more time passes: an account may be faster.
const POLL_TAKES: Duration = Duration::from_secs(1);
/// How long it stays when all its sockets are gone: packets that come late must not count as those of a new connection.
const PAST_FOR: Duration = Duration::from_secs(5);

/// A destroy event is fetched within this time, in nanoseconds: so much too late its socket may seem to have been active. As a
/// rule, and if the host is busy.
const EVENT_TAKES: u64 = 50_000_000;
const EVENT_MAY_TAKE: u64 = 500_000_000;

/// How well an account has to fit a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// As it does if the capture has seen all, and the event was fetched soon.
    Well,
    /// So that it may be it.
    Possibly,
}

/// Whose the account is, as one end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's yet.
    Nobody,
    /// Nobody's yet, and not that of the socket with this cookie, which lived when it had ended.
    NobodyBut(u64),
    /// That of the socket with this cookie.
    Socket(u64),
    /// That of a socket that has ended, or of one that was never heard of.
    Past,
}

/// What one end of a connection has.
#[derive(Debug, Clone, Copy)]
struct End {
    /// What it sent.
    sent: StreamStatistics,
    owner: Owner,
    /// Whether a record of its socket has the account.
    is_told: bool,
}

/// The newest account of a connection.
#[derive(Debug)]
pub(super) struct Known {
    /// When the first packet of the connection passed: tells it from others between the same ends.
    pub(super) began: u64,
    /// Whether nothing more is expected of it: it has ended, or another has begun.
    pub(super) has_ended: bool,
    pub(super) was_claimed: bool,
    /// When its last packet passed, up to its end, in nanoseconds since 1970.
    last: u64,
    ends: [End; 2],
    updated: Instant,
}

impl Known {
    /// The account, of which `a` is the end `from`.
    pub(super) fn new(from: Side, account: &Account, now: Instant) -> Self {
        let ends = sent(from, account).map(|sent| End { sent, owner: Owner::Nobody, is_told: false });
        let (began, has_ended, last) = (account.began, account.ended, last(account));
        Self { began, has_ended, was_claimed: false, last, ends, updated: now }
    }

    /// Takes a newer account of the same connection.
    pub(super) fn update(&mut self, from: Side, account: &Account, now: Instant) {
        if !(self.has_ended && account.ended) {
            self.last = last(account);
        }
        for (end, sent) in self.ends.iter_mut().zip(sent(from, account)) {
            (end.sent, end.is_told) = (sent, false);
            if matches!(end.owner, Owner::NobodyBut(_)) {
                // It has packets after all. A reset may have been seen that nobody has taken: whoever lives may be its socket.
                end.owner = Owner::Nobody;
            }
        }
        (self.has_ended, self.updated) = (account.ended, now);
    }

    /// Whether it had ended when a poll was made that is looked at now.
    pub(super) fn has_ended_before(&self, now: Instant) -> bool {
        self.has_ended && now.saturating_duration_since(self.updated) > POLL_TAKES
    }

    pub(super) fn owner(&mut self, side: Side) -> &mut Owner {
        &mut self.ends[side as usize].owner
    }

    /// Whether this socket may claim it.
    pub(super) fn is_free_for(&self, side: Side, cookie: u64) -> bool {
        match self.ends[side as usize].owner {
            Owner::Nobody => true,
            Owner::NobodyBut(other) => other != cookie,
            Owner::Socket(_) | Owner::Past => false,
        }
    }

    /// How far it is from a socket, if it may be of that: if it is free, had begun before the socket's end, has about as many packets
    /// as the socket has segments, and these go on until the socket was active. That is in nanoseconds from its last packet to
    /// the socket's last activity; or, where that is not known well enough, in segments.
    pub(super) fn fits(&self, waiting: &Waiting, fit: Fit) -> Option<u64> {
        let Waiting { socket, until, .. } = waiting;
        let (sent, received) = (&self.ends[socket.side as usize].sent, &self.ends[socket.side.other() as usize].sent);
        let distance = socket.segments.distance(sent, received);
        let (is_near, missing) = match fit {
            Fit::Well => (self.has_ended && socket.segments.is_close(distance), EVENT_TAKES),
            Fit::Possibly => (socket.segments.is_possible(distance), EVENT_MAY_TAKE),
        };
        let active = socket.active.unwrap_or(self.last);
        let is_it = is_near
            && self.is_free_for(socket.side, socket.cookie)
            && until.is_none_or(|until| self.began <= until)
            && self.last.saturating_add(missing) >= active;
        is_it.then(|| match fit {
            Fit::Well => self.last.abs_diff(active),
            Fit::Possibly => distance,
        })
    }

    /// Whether it has more packets than a living socket at this side can have had.
    pub(super) fn exceeds(&self, side: Side, segments: Segments) -> bool {
        segments.is_exceeded_by(&self.ends[side as usize].sent, &self.ends[side.other() as usize].sent)
    }

    /// What a record of the socket at this side gets, told before or not.
    pub(super) fn tell(&mut self, side: Side) -> Streams {
        self.ends[side as usize].is_told = true;
        let [sent, received] = [side, side.other()].map(|side| self.ends[side as usize].sent);
        Streams { sent, received }
    }

    pub(super) fn is_told(&self, side: Side) -> bool {
        self.ends[side as usize].is_told
    }

    /// The sockets that have claimed it.
    pub(super) fn sockets(&self) -> impl Iterator<Item = u64> {
        let cookie = |end: &End| match end.owner {
            Owner::Socket(cookie) => Some(cookie),
            _ => None,
        };
        self.ends.into_iter().filter_map(move |end| cookie(&end))
    }

    /// Whether nobody will ask for it any more.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        let stays = if self.ends.iter().any(|end| end.owner == Owner::Past) { PAST_FOR } else { UNCLAIMED_FOR };
        self.sockets().next().is_none() && now.saturating_duration_since(self.updated) > stays
    }
}

/// When the last packet passed, in nanoseconds since 1970.
fn last(account: &Account) -> u64 {
    account.a_to_b.last_packet.max(account.b_to_a.last_packet).saturating_mul(1000)
}

/// What the lower and the higher end sent.
fn sent(from: Side, account: &Account) -> [StreamStatistics; 2] {
    match from {
        Side::Low => [account.a_to_b, account.b_to_a],
        Side::High => [account.b_to_a, account.a_to_b],
    }
}
