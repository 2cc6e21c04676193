//! The newest account of each connection, and which socket it is of.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use inetdiag::Streams;
use rustc_hash::FxHashMap;
use streams::Account;

use super::known::{Fit, Known, Owner};
use super::pairs::pair;
use super::segments::Segments;
use super::tuple::{Side, Tuple};

/// All accounts are looked at once in this time, a part at a time, and no more than that at once.
const LOOK_THROUGH_IN: Duration = Duration::from_secs(10);
const MOST_AT_ONCE: u128 = 4096;
/// Connections between the same ends whose sockets have not been heard of: of more, the oldest is forgotten.
const MOST_OF_A_TUPLE: usize = 64;
/// Places that are looked at to find one that nobody has claimed, when all are taken.
const LOOKED_AT_FOR_ROOM: usize = 64;

/// What became of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Kept,
    Full,
}

/// The last record of a socket, or one of a living one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket {
    pub(super) tuple: Tuple,
    pub(super) side: Side,
    pub(super) cookie: u64,
    pub(super) segments: Segments,
    /// When it sent or received something for the last time, in nanoseconds since 1970: then or a little earlier.
    pub(super) active: Option<u64>,
}

/// A socket that has ended, and whose final record waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) socket: Socket,
    /// When it had ended, in nanoseconds since 1970, if that has been told.
    pub(super) until: Option<u64>,
    /// Whether it is to be decided now which account is its own.
    pub(super) is_due: bool,
}

/// Connections between the same ends, the oldest first.
#[derive(Debug)]
struct Place {
    tuple: Tuple,
    connections: Vec<Known>,
}

/// Where the account of a socket is.
#[derive(Debug, Clone, Copy)]
struct Claim {
    place: usize,
    began: u64,
    side: Side,
}

/// The accounts, by connection.
///
/// Both ends of a connection may be sockets of this host: each has its own claim.
#[derive(Debug)]
pub(super) struct Accounts {
    /// Keys come from the network, so they are hashed with a secret. As large as it will ever be: to grow takes time.
    places: HashMap<Tuple, usize>,
    entries: Vec<Option<Place>>,
    free: Vec<usize>,
    claims: FxHashMap<u64, Claim>,
    len: usize,
    most: usize,
    /// Where the search for forgotten ones goes on, and when it was last.
    hand: usize,
    searched: Option<Instant>,
    /// Accounts that were forgotten and nobody had claimed.
    pub(super) unmatched: u64,
}

impl Accounts {
    /// Without any yet; `most` are kept.
    pub(super) fn new(most: usize) -> Self {
        Self {
            places: HashMap::with_capacity(most),
            entries: Vec::new(),
            free: Vec::new(),
            claims: FxHashMap::default(),
            len: 0,
            most,
            hand: 0,
            searched: None,
            unmatched: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps an account, of which `a` is the end `from`.
    pub(super) fn put(&mut self, tuple: Tuple, from: Side, account: &Account, now: Instant) -> Put {
        if let Some(place) = self.place(tuple) {
            let newest = place.connections.last().map_or(0, |newest| newest.began);
            if let Some(known) = place.connections.iter_mut().find(|known| known.began == account.began) {
                known.update(from, account, now);
                // Nothing more is expected of those before the newest, whatever comes late of them.
                known.has_ended |= known.began != newest;
                return Put::Kept;
            }
            if account.began < newest {
                // It was forgotten.
                return Put::Kept;
            }
        }
        if self.len >= self.most && !self.make_room() {
            return Put::Full;
        }
        let place = self.place_or_new(tuple);
        place.connections.iter_mut().for_each(|known| known.has_ended = true);
        place.connections.reserve_exact(1);
        place.connections.push(Known::new(from, account, now));
        let has_too_many = place.connections.len() > MOST_OF_A_TUPLE;
        self.len += 1;
        if has_too_many && let Some(&place) = self.places.get(&tuple) {
            self.forget(place, |_| true);
        }
        Put::Kept
    }

    /// What a socket that polls see has not been told yet. If it has no account, it claims the newest, if this goes on and had begun
    /// `until` then: before the poll.
    pub(super) fn news(&mut self, socket: Socket, until: u64, now: Instant) -> Option<Streams> {
        let Socket { tuple, side, cookie, segments, .. } = socket;
        let newest = self.place(tuple)?.connections.last()?.began;
        let claimed = self.claims.get(&cookie).map(|claim| claim.began);
        if claimed.is_some_and(|began| began < newest) && newest <= until {
            // It lives, and another connection has begun since the one that it was taken for.
            self.give_up(cookie, Owner::Past);
        }
        if !self.is_claimed_by(socket) {
            let known = self.place(tuple)?.connections.last_mut()?;
            if known.has_ended_before(now) && *known.owner(side) == Owner::Nobody {
                *known.owner(side) = Owner::NobodyBut(cookie);
            }
            if known.began > until
                || known.has_ended
                || !known.is_free_for(side, cookie)
                || known.exceeds(side, segments)
            {
                return None;
            }
            let began = known.began;
            self.claim(socket, began);
        }
        let known = self.claimed(cookie)?;
        (!known.is_told(side)).then(|| known.tell(side))
    }

    /// Whether a socket has an account, and this has ended: all that a final record waits for.
    pub(super) fn is_complete(&mut self, socket: Socket) -> bool {
        self.is_claimed_by(socket) && self.claimed(socket.cookie).is_some_and(|known| known.has_ended)
    }

    /// Finds out which account is of which of these sockets, which have ended one after the other at one end of connections between
    /// the same ends. Those of whom it `is_due` claim theirs.
    pub(super) fn match_up(&mut self, waiting: &[Waiting], fit: Fit) {
        let Some(tuple) = waiting.first().map(|first| first.socket.tuple) else { return };
        let claims = &self.claims;
        let waiting: Vec<_> = waiting.iter().filter(|it| !claims.contains_key(&it.socket.cookie)).collect();
        let Some(place) = self.place(tuple) else { return };
        let known = &place.connections;
        let cost = |row: usize, column: usize| known[column].fits(waiting[row], fit);
        let paired = pair(waiting.len(), known.len(), cost);
        let began: Vec<_> = paired.into_iter().map(|column| column.map(|column| known[column].began)).collect();
        for (waiting, began) in waiting.into_iter().zip(began).filter(|(waiting, _)| waiting.is_due) {
            if let Some(began) = began {
                self.claim(waiting.socket, began);
            }
        }
    }

    /// What there is for the final record of a socket that has an account, told before or not. What is `older`, and nobody's, is of
    /// sockets that are not heard of any more; if one may be, it stays.
    pub(super) fn last(&mut self, socket: Socket, older_is_past: bool) -> Option<Streams> {
        let Socket { tuple, side, cookie, .. } = socket;
        if !self.is_claimed_by(socket) {
            return None;
        }
        let known = self.claimed(cookie)?;
        let (streams, began) = (known.tell(side), known.began);
        if older_is_past {
            let older = self.place(tuple)?.connections.iter_mut().filter(|known| known.began < began);
            older.filter(|known| known.is_free_for(side, cookie)).for_each(|known| *known.owner(side) = Owner::Past);
        }
        self.end(cookie);
        Some(streams)
    }

    /// A socket has ended: what comes with its addresses and ports is not its own any more.
    pub(super) fn end(&mut self, cookie: u64) {
        self.give_up(cookie, Owner::Past);
    }

    /// Nothing is heard of a socket any more.
    pub(super) fn vanish(&mut self, cookie: u64) {
        self.give_up(cookie, Owner::Nobody);
    }

    /// Forgets what nobody will ask for, looking at a part of all.
    pub(super) fn forget_old(&mut self, now: Instant) {
        let before = self.searched.replace(now).unwrap_or(now);
        let elapsed = now.saturating_duration_since(before);
        let part = self.entries.len() as u128 * elapsed.as_millis() / LOOK_THROUGH_IN.as_millis() + 1;
        let part = part.min(MOST_AT_ONCE).min(self.entries.len() as u128);
        for _ in 0..part {
            self.hand = (self.hand + 1) % self.entries.len();
            while self.forget(self.hand, |known| known.is_old(now)) {}
        }
    }

    /// Forgets a connection that nobody has claimed, if one is found soon.
    fn make_room(&mut self) -> bool {
        (0..LOOKED_AT_FOR_ROOM.min(self.entries.len())).any(|_| {
            self.hand = (self.hand + 1) % self.entries.len();
            self.forget(self.hand, |known| known.sockets().next().is_none())
        })
    }

    /// Forgets the oldest connection of a place that is so; `false` if none is.
    fn forget(&mut self, place: usize, is_so: impl Fn(&Known) -> bool) -> bool {
        let Some(entry) = self.entries.get_mut(place).and_then(Option::as_mut) else { return false };
        let Some(index) = entry.connections.iter().position(is_so) else { return false };
        let known = entry.connections.remove(index);
        if entry.connections.is_empty() {
            self.places.remove(&entry.tuple);
            self.entries[place] = None;
            self.free.push(place);
        }
        self.len -= 1;
        self.unmatched += u64::from(!known.was_claimed);
        for cookie in known.sockets() {
            self.claims.remove(&cookie);
        }
        true
    }

    fn place(&mut self, tuple: Tuple) -> Option<&mut Place> {
        let place = *self.places.get(&tuple)?;
        self.entries[place].as_mut()
    }

    fn place_or_new(&mut self, tuple: Tuple) -> &mut Place {
        let (entries, free) = (&mut self.entries, &mut self.free);
        let place = *self.places.entry(tuple).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                entries.push(None);
                entries.len() - 1
            })
        });
        self.entries[place].get_or_insert_with(|| Place { tuple, connections: Vec::new() })
    }

    /// Whether this socket has an account, with these ends: it may have been disconnected, and connected elsewhere.
    pub(super) fn is_claimed_by(&self, socket: Socket) -> bool {
        let Some(&claim) = self.claims.get(&socket.cookie) else { return false };
        self.places.get(&socket.tuple) == Some(&claim.place) && claim.side == socket.side
    }

    fn claimed(&mut self, cookie: u64) -> Option<&mut Known> {
        let &Claim { place, began, .. } = self.claims.get(&cookie)?;
        self.entries[place].as_mut()?.connections.iter_mut().find(|known| known.began == began)
    }

    /// Makes an account that of this socket.
    fn claim(&mut self, socket: Socket, began: u64) {
        let Socket { tuple, side, cookie, .. } = socket;
        self.end(cookie);
        let Some(&place) = self.places.get(&tuple) else { return };
        self.claims.insert(cookie, Claim { place, began, side });
        if let Some(known) = self.claimed(cookie) {
            known.was_claimed = true;
            *known.owner(side) = Owner::Socket(cookie);
        }
    }

    fn give_up(&mut self, cookie: u64, owner: Owner) {
        let Some(&Claim { side, .. }) = self.claims.get(&cookie) else { return };
        if let Some(known) = self.claimed(cookie) {
            *known.owner(side) = owner;
        }
        self.claims.remove(&cookie);
    }
}
