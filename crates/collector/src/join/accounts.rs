//! The newest account of each connection, and whose it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use inetdiag::{StreamStatistics, Streams};
use rustc_hash::FxHashMap;
use streams::Account;

use super::tuple::{Side, Tuple};

/// How long an account stays that no record asked for, if no other follows: packets that this host forwards, say.
const UNCLAIMED_FOR: Duration = Duration::from_secs(120);
/// How long it stays when all its sockets are gone: packets that come late must not count as those of a new connection.
const PAST_FOR: Duration = Duration::from_secs(5);
/// All accounts are looked at once in this time, a part at a time, and no more than that at once.
const LOOK_THROUGH_IN: Duration = Duration::from_secs(10);
const MOST_AT_ONCE: u128 = 4096;

/// Whose the account is, as one end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Nobody's yet.
    Nobody,
    /// That of the socket with this cookie.
    Socket(u64),
    /// That of a socket that has ended. A new one with the same addresses and ports has to wait for an account of its own.
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

#[derive(Debug)]
struct Entry {
    tuple: Tuple,
    /// When the first packet of the connection passed.
    began: u64,
    ends: [End; 2],
    has_ended: bool,
    was_claimed: bool,
    updated: Instant,
}

/// What became of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Kept,
    Full,
}

/// The accounts, by connection.
///
/// Both ends of a connection may be sockets of this host: each has its own claim.
#[derive(Debug)]
pub(super) struct Accounts {
    /// Keys come from the network, so they are hashed with a secret. As large as it will ever be: to grow takes time.
    places: HashMap<Tuple, usize>,
    entries: Vec<Option<Box<Entry>>>,
    free: Vec<usize>,
    claims: FxHashMap<u64, (usize, Side)>,
    most: usize,
    /// Where the search for forgotten ones goes on, and when it was last.
    hand: usize,
    searched: Option<Instant>,
}

impl Accounts {
    /// Without any yet; `most` are kept.
    pub(super) fn new(most: usize) -> Self {
        Self {
            places: HashMap::with_capacity(most),
            entries: Vec::new(),
            free: Vec::new(),
            claims: FxHashMap::default(),
            most,
            hand: 0,
            searched: None,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Keeps an account, of which `a` is the end `from`.
    pub(super) fn put(&mut self, tuple: Tuple, from: Side, account: &Account, now: Instant) -> Put {
        let Account { began, a_to_b, b_to_a, ended, .. } = *account;
        let sent = if from == Side::Low { [a_to_b, b_to_a] } else { [b_to_a, a_to_b] };
        if let Some(entry) = self.entry(tuple) {
            entry.ends.iter_mut().zip(sent).for_each(|(end, sent)| (end.sent, end.is_told) = (sent, false));
            (entry.has_ended, entry.updated) = (ended, now);
            return Put::Kept;
        }
        if self.places.len() >= self.most {
            return Put::Full;
        }
        let ends = sent.map(|sent| End { sent, owner: Owner::Nobody, is_told: false });
        let entry = Box::new(Entry { tuple, began, ends, has_ended: ended, was_claimed: false, updated: now });
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[place] = Some(entry);
        self.places.insert(tuple, place);
        Put::Kept
    }

    /// Whether what is known under this tuple is of a connection that began at another time.
    pub(super) fn is_of_another(&mut self, tuple: Tuple, began: u64) -> bool {
        self.entry(tuple).is_some_and(|entry| entry.began != began)
    }

    /// Whether the account of this tuple is that of this socket.
    pub(super) fn is_of(&mut self, tuple: Tuple, side: Side, cookie: u64) -> bool {
        self.entry(tuple).is_some_and(|entry| entry.ends[side as usize].owner == Owner::Socket(cookie))
    }

    /// What a socket that polls see has not been told yet.
    pub(super) fn news(&mut self, tuple: Tuple, side: Side, cookie: u64) -> Option<Streams> {
        let entry = self.entry(tuple)?;
        let (has_ended, end) = (entry.has_ended, &mut entry.ends[side as usize]);
        if has_ended && end.owner == Owner::Nobody {
            // The socket is there, so it is another connection that has ended.
            end.owner = Owner::Past;
        }
        if end.is_told && end.owner == Owner::Socket(cookie) || !self.claim(tuple, side, cookie) {
            return None;
        }
        self.tell(tuple, side)
    }

    /// Whether the end of this socket's connection is known. If it is, the socket has claimed it.
    pub(super) fn has_ended(&mut self, tuple: Tuple, side: Side, cookie: u64) -> bool {
        self.claim(tuple, side, cookie) && self.entry(tuple).is_some_and(|entry| entry.has_ended)
    }

    /// What there is for the final record of a socket, told before or not.
    pub(super) fn last(&mut self, tuple: Tuple, side: Side, cookie: u64) -> Option<Streams> {
        if !self.claim(tuple, side, cookie) {
            return None;
        }
        let streams = self.tell(tuple, side);
        self.end(cookie);
        streams
    }

    /// A socket has ended: what comes with its addresses and ports is not its own any more.
    pub(super) fn end(&mut self, cookie: u64) {
        self.give_up(cookie, Owner::Past);
    }

    /// Nothing is heard of a socket any more.
    pub(super) fn vanish(&mut self, cookie: u64) {
        self.give_up(cookie, Owner::Nobody);
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, tuple: Tuple) {
        let Some(place) = self.places.remove(&tuple) else { return };
        let Some(entry) = self.entries[place].take() else { return };
        self.free.push(place);
        for end in entry.ends {
            if let Owner::Socket(cookie) = end.owner {
                self.claims.remove(&cookie);
            }
        }
    }

    /// Forgets what nobody will ask for, looking at a part of all; says how much of it nobody ever asked for.
    pub(super) fn forget_old(&mut self, now: Instant) -> u64 {
        let before = self.searched.replace(now).unwrap_or(now);
        let elapsed = now.saturating_duration_since(before);
        let part = self.entries.len() as u128 * elapsed.as_millis() / LOOK_THROUGH_IN.as_millis() + 1;
        let part = part.min(MOST_AT_ONCE).min(self.entries.len() as u128);
        let mut unmatched = 0;
        for _ in 0..part {
            self.hand = (self.hand + 1) % self.entries.len();
            let Some(entry) = self.entries[self.hand].as_deref().filter(|entry| entry.is_old(now)) else { continue };
            unmatched += u64::from(!entry.was_claimed);
            self.forget(entry.tuple);
        }
        unmatched
    }

    fn entry(&mut self, tuple: Tuple) -> Option<&mut Entry> {
        let place = *self.places.get(&tuple)?;
        self.entries[place].as_deref_mut()
    }

    /// Makes the account that of this socket, if it is nobody's, and says whether it is.
    fn claim(&mut self, tuple: Tuple, side: Side, cookie: u64) -> bool {
        let Some(&place) = self.places.get(&tuple) else { return false };
        let Some(entry) = self.entries[place].as_deref_mut() else { return false };
        let owner = &mut entry.ends[side as usize].owner;
        match *owner {
            Owner::Socket(of) => of == cookie,
            Owner::Past => false,
            Owner::Nobody => {
                *owner = Owner::Socket(cookie);
                entry.was_claimed = true;
                // A socket may be disconnected, and connected elsewhere.
                self.end(cookie);
                self.claims.insert(cookie, (place, side));
                true
            }
        }
    }

    fn tell(&mut self, tuple: Tuple, side: Side) -> Option<Streams> {
        let entry = self.entry(tuple)?;
        entry.ends[side as usize].is_told = true;
        let [sent, received] = [side, side.other()].map(|side| entry.ends[side as usize].sent);
        Some(Streams { sent, received })
    }

    fn give_up(&mut self, cookie: u64, owner: Owner) {
        if let Some((place, side)) = self.claims.remove(&cookie)
            && let Some(entry) = self.entries[place].as_deref_mut()
        {
            entry.ends[side as usize].owner = owner;
        }
    }
}

impl Entry {
    fn is_old(&self, now: Instant) -> bool {
        let owners = self.ends.map(|end| end.owner);
        if owners.iter().any(|owner| matches!(owner, Owner::Socket(_))) {
            return false;
        }
        let stays = if owners.contains(&Owner::Past) { PAST_FOR } else { UNCLAIMED_FOR };
        now.saturating_duration_since(self.updated) > stays
    }
}
