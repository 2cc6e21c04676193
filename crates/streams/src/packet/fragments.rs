//! Datagrams that come in fragments. TCP avoids them, but tunnels make them.

use super::segment::{Flow, Segment};

/// Datagrams that can be incomplete at a time; more than that, and the oldest is given up.
const SLOTS: usize = 64;
/// How long a datagram may be incomplete, in nanoseconds: as in Linux. RFC 8200, 4.5 allows 60 s, and RFC 791 less than that.
const LIFETIME: u64 = 30_000_000_000;

/// A fragment's place in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Identification of the datagram among those between its addresses.
    pub id: u32,
    /// Bytes before it.
    pub offset: u32,
    /// Whether it is the end of the datagram.
    pub is_last: bool,
}

impl Part {
    /// Whether there is more of the datagram than this.
    pub(super) fn is_fragment(&self) -> bool {
        self.offset > 0 || !self.is_last
    }
}

/// A fragment of a datagram with TCP in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fragment {
    /// The addresses; ports are 0.
    pub flow: Flow,
    /// Number of the interface that it passed: on another one it is a copy.
    pub interface: u32,
    /// Its place.
    pub part: Part,
    /// Bytes in it.
    pub len: u32,
    /// The segment, if this is its beginning: with the payload that is in here.
    pub head: Option<Segment>,
}

/// Puts fragments together, of their lengths only: what matters of a segment is its header and how long it is.
#[derive(Debug)]
pub struct Fragments {
    /// The first `used` ones are taken, in the order in which the first fragments of their datagrams came.
    slots: Vec<Slot>,
    used: usize,
    /// Datagrams that were given up: not all of them came in time, or others came.
    pub given_up: u64,
}

#[derive(Debug)]
struct Slot {
    /// Whose datagram it is, and which; `None` in a slot that is free.
    datagram: Option<(Flow, u32, u32)>,
    /// When the first of its fragments passed.
    began: u64,
    received: Box<Units>,
    /// Bytes of the whole, once its last fragment is here.
    total: Option<u32>,
    /// The segment, and how much of its datagram is header.
    head: Option<(Segment, u32)>,
}

impl Default for Fragments {
    fn default() -> Self {
        // All the memory that is ever taken: packets allocate none.
        Self { slots: (0..SLOTS).map(|_| Slot::free()).collect(), used: 0, given_up: 0 }
    }
}

impl Fragments {
    /// Takes a fragment. The segment comes out with the last one that was missing, at the time of that one.
    pub fn put(&mut self, fragment: &Fragment, time: u64) -> Option<Segment> {
        self.expire(time);
        let units = Units::of(fragment)?;
        let index = self.slot_of(fragment, time);
        let slot = &mut self.slots[index];
        slot.received.add(units);
        if fragment.part.is_last {
            slot.total = Some(fragment.part.offset + fragment.len);
        }
        if let Some(head) = fragment.head {
            slot.head = Some((head, fragment.len.saturating_sub(head.payload)));
        }
        let (head, header_len) = slot.head?;
        let total = slot.total.filter(|&total| slot.received.are_all_before(total))?;
        self.free(index);
        Some(Segment { payload: total.saturating_sub(header_len), time, ..head })
    }

    /// Gives up what has been incomplete for too long.
    pub(crate) fn expire(&mut self, now: u64) {
        // Also if the clock was set back by that much: nobody knows then how long it has been.
        while self.used > 0 && now.abs_diff(self.slots[0].began) >= LIFETIME {
            self.give_up_oldest();
        }
    }

    fn slot_of(&mut self, fragment: &Fragment, time: u64) -> usize {
        let datagram = Some((fragment.flow, fragment.interface, fragment.part.id));
        if let Some(index) = self.slots[..self.used].iter().position(|slot| slot.datagram == datagram) {
            return index;
        }
        if self.used == SLOTS {
            self.give_up_oldest();
        }
        let slot = &mut self.slots[self.used];
        (slot.datagram, slot.began) = (datagram, time);
        self.used += 1;
        self.used - 1
    }

    fn give_up_oldest(&mut self) {
        self.given_up += 1;
        self.free(0);
    }

    /// Frees a slot. Those behind it stay in order.
    fn free(&mut self, index: usize) {
        self.slots[index..self.used].rotate_left(1);
        self.used -= 1;
        let slot = &mut self.slots[self.used];
        slot.received.clear();
        (slot.datagram, slot.total, slot.head) = (None, None, None);
    }
}

impl Slot {
    fn free() -> Self {
        Self { datagram: None, began: 0, received: Box::default(), total: None, head: None }
    }
}

/// Which parts of a datagram are here, in units of eight bytes, as offsets are: what comes twice counts once.
#[derive(Debug)]
struct Units([u64; MOST_UNITS / u64::BITS as usize]);

const UNIT: u32 = 8;
/// Units of the largest datagram.
const MOST_UNITS: usize = (1 << 16) / UNIT as usize;

impl Default for Units {
    fn default() -> Self {
        Self([0; MOST_UNITS / u64::BITS as usize])
    }
}

impl Units {
    /// Those that a fragment brings: only of the last one some may be shorter. `None` if it ends behind any datagram.
    fn of(fragment: &Fragment) -> Option<std::ops::Range<usize>> {
        let Part { offset, is_last, .. } = fragment.part;
        let end = offset.checked_add(fragment.len).filter(|&end| end < 1 << 16)?;
        let end = if is_last { end.div_ceil(UNIT) } else { end / UNIT };
        Some((offset / UNIT) as usize..end as usize)
    }

    fn add(&mut self, units: std::ops::Range<usize>) {
        units.for_each(|unit| self.0[unit / 64] |= 1 << (unit % 64));
    }

    /// Whether nothing is missing of the first so many bytes.
    fn are_all_before(&self, bytes: u32) -> bool {
        let units = bytes.div_ceil(UNIT) as usize;
        let (whole, rest) = (units / 64, units % 64);
        let rest_of_ones = (1 << rest) - 1;
        self.0[..whole].iter().all(|&word| word == u64::MAX)
            && (rest == 0 || self.0[whole] & rest_of_ones == rest_of_ones)
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }
}

#[cfg(test)]
#[path = "fragments_tests.rs"]
mod tests;
