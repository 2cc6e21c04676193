//! The connections that packets are of.

mod slab;
mod wheel;

use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::analysis::{Belongs, Connection, Key, Totals};
use crate::packet::{Flags, Fragments, Frame, NoSegment, Packet, Segment, parse};
use slab::Slab;
use wheel::Wheel;

/// How many connections are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most of them at a time. Packets of more are counted, and nothing else.
    pub connections: usize,
    /// How long one is kept that no packets come of.
    pub stream_age: Duration,
    /// The same of one that has ended, or was never open: of which only SYNs have come.
    pub finalized_age: Duration,
}

impl Limits {
    /// All connections, for ever.
    pub const NONE: Self =
        Self { connections: u32::MAX as usize, stream_age: Duration::MAX, finalized_age: Duration::MAX };
}

/// What has become of frames: those that are counted as nothing else are segments of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// All of them.
    pub frames: u64,
    /// Something else than TCP over IP.
    pub other_protocol: u64,
    /// Cut by the capture before the end of the TCP header.
    pub truncated: u64,
    /// Headers contradict each other.
    pub malformed: u64,
    /// Fragments of datagrams.
    pub fragments: u64,
    /// Datagrams of which not all fragments came. They are no frames, and come in addition.
    pub datagrams_given_up: u64,
    /// Segments of connections there was no room for.
    pub untracked: u64,
    /// Segments that were seen on another interface before.
    pub copies: u64,
    /// Connections that were forgotten early, because the table was full, and they had ended or were never open. They are
    /// no frames.
    pub evicted: u64,
}

impl FrameCounts {
    /// Adds those of another table.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.other_protocol += other.other_protocol;
        self.truncated += other.truncated;
        self.malformed += other.malformed;
        self.fragments += other.fragments;
        self.datagrams_given_up += other.datagrams_given_up;
        self.untracked += other.untracked;
        self.copies += other.copies;
        self.evicted += other.evicted;
    }
}

/// Connections by their ends, and when to forget them.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    connections: Slab,
    wheel: Wheel,
    /// Where the search for a place goes on when all are taken.
    hand: u32,
    fragments: Fragments,
    /// What has become of frames.
    pub counts: FrameCounts,
    /// Of connections that are forgotten.
    retired: Totals,
    retired_streams: u64,
}

/// Room for so many connections is made at the start, so that the index does not have to grow while packets come.
const ROOM_AT_START: usize = 1 << 18;

/// Connections that are looked at to find one that has to make room. In a flood most would do.
const LOOKED_AT_FOR_ROOM: usize = 8;

impl Table {
    /// One without connections.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            hasher: DefaultHashBuilder::default(),
            index: HashTable::with_capacity(limits.connections.min(ROOM_AT_START)),
            connections: Slab::default(),
            wheel: Wheel::new(),
            hand: 0,
            fragments: Fragments::default(),
            counts: FrameCounts::default(),
            retired: Totals::default(),
            retired_streams: 0,
        }
    }

    /// Belongs a frame. Says which connection it is of, by number. `retire` is told of a connection whose place it takes.
    #[inline]
    pub fn frame(&mut self, frame: &Frame<'_>, retire: impl FnMut(&Connection)) -> Option<u32> {
        self.counts.frames += 1;
        match parse(frame) {
            Ok(Packet::Segment(segment)) => self.segment(&segment, retire),
            Ok(Packet::Fragment(fragment)) => {
                let segment = self.fragments.put(&fragment, frame.time);
                self.counts.datagrams_given_up = self.fragments.given_up;
                let number = segment.and_then(|segment| self.segment(&segment, retire));
                // What there is no room for has been counted as that, and so have copies.
                self.counts.fragments += u64::from(segment.is_none() || number.is_some());
                number
            }
            Err(reason) => {
                let count = match reason {
                    NoSegment::OtherProtocol => &mut self.counts.other_protocol,
                    NoSegment::Truncated => &mut self.counts.truncated,
                    NoSegment::Malformed => &mut self.counts.malformed,
                };
                *count += 1;
                None
            }
        }
    }

    #[inline]
    fn segment(&mut self, segment: &Segment, mut retire: impl FnMut(&Connection)) -> Option<u32> {
        let (key, stream) = Key::of(&segment.flow);
        let hash = self.hasher.hash_one(key);
        let is_it = |&number: &u32| self.connections.get(number).is_some_and(|connection| connection.is_between(&key));
        if let Some(&number) = self.index.find(hash, is_it) {
            let connection = self.connections.get_mut(number)?;
            if connection.is_copy(stream, segment) {
                self.counts.copies += 1;
                return None;
            }
            match connection.belonging_of(stream, segment) {
                Belongs::Here => connection.take(stream, segment),
                Belongs::PerhapsToAnother => connection.put_by(stream, segment),
                Belongs::ToAnother => {
                    let syn = if segment.flags.any(Flags::ACK) { connection.take_syn() } else { None };
                    retire(connection);
                    connection.add_to(&mut self.retired);
                    self.retired_streams += connection.streams() as u64;
                    connection.begin_again(syn.map_or(segment.time, |(_, syn)| syn.time));
                    if let Some((stream, syn)) = syn {
                        connection.take(stream, &syn);
                    }
                    connection.take(stream, segment);
                }
            }
            return Some(number);
        }
        let mut connection = Connection::new(key, segment.time);
        connection.take(stream, segment);
        let number = if self.connections.len() < self.limits.connections {
            let number = self.connections.insert(connection);
            // Looked at as soon as it could be forgotten at the earliest, and then again.
            let earliest = after(segment.time, self.limits.stream_age.min(self.limits.finalized_age));
            self.wheel.add(number, segment.time, earliest);
            number
        } else if let Some(number) = self.evict(retire) {
            // Who was there has a place in the wheel, which is good enough.
            *self.connections.get_mut(number)? = connection;
            number
        } else {
            self.counts.untracked += 1;
            return None;
        };
        let (hasher, connections) = (&self.hasher, &self.connections);
        let hash_of = |&number: &u32| connections.get(number).map_or(0, |connection| hasher.hash_one(connection.key()));
        self.index.insert_unique(hash, number, hash_of);
        Some(number)
    }

    /// Finds a connection that was never open, or has ended, and has to make room for another: its number.
    fn evict(&mut self, mut retire: impl FnMut(&Connection)) -> Option<u32> {
        for _ in 0..LOOKED_AT_FOR_ROOM {
            self.hand = if self.hand as usize + 1 < self.connections.end() { self.hand + 1 } else { 0 };
            let may_go = |it: &&Connection| it.was_never_open() || it.has_ended();
            let Some(connection) = self.connections.get(self.hand).filter(may_go) else { continue };
            retire(connection);
            self.counts.evicted += 1;
            self.leave(self.hand);
            return Some(self.hand);
        }
        None
    }

    /// What a connection leaves behind: totals, and a free key.
    fn leave(&mut self, number: u32) {
        let Some(connection) = self.connections.get(number) else { return };
        connection.add_to(&mut self.retired);
        self.retired_streams += connection.streams() as u64;
        let hash = self.hasher.hash_one(connection.key());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == number) {
            entry.remove();
        }
    }

    /// Forgets connections whose time is over, after telling `retire` of each. Looks at `budget` of them at most, and says
    /// whether that was all there was to do.
    ///
    /// Fragments whose datagram is not complete in time are given up here, too: packets may not come that would do it.
    pub fn expire(&mut self, now: u64, budget: usize, mut retire: impl FnMut(&Connection)) -> bool {
        self.fragments.expire(now);
        self.counts.datagrams_given_up = self.fragments.given_up;
        for _ in 0..budget {
            let Some(number) = self.wheel.next(now) else { return true };
            let Some(connection) = self.connections.get(number) else { continue };
            let Limits { stream_age, finalized_age, .. } = self.limits;
            let age = if connection.has_ended() || connection.was_never_open() { finalized_age } else { stream_age };
            let deadline = after(connection.last(), age);
            if deadline > now {
                self.wheel.add(number, now, deadline.min(after(now, finalized_age.min(stream_age))));
                continue;
            }
            retire(connection);
            self.forget(number);
        }
        false
    }

    fn forget(&mut self, number: u32) {
        self.leave(number);
        self.connections.remove(number);
    }

    /// Connections that are kept.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of connections lie below this.
    pub fn end(&self) -> usize {
        self.connections.end()
    }

    /// The connection of that number.
    pub fn get(&self, number: u32) -> Option<&Connection> {
        self.connections.get(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Connection> {
        self.connections.get_mut(number)
    }

    /// What was counted of streams that are forgotten, and how many these are.
    pub fn retired(&self) -> (&Totals, u64) {
        (&self.retired, self.retired_streams)
    }
}

/// A time so much later, in nanoseconds since 1970.
fn after(time: u64, age: Duration) -> u64 {
    time.saturating_add(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
