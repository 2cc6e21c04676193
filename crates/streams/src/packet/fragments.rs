//! Datagrams that come in fragments. TCP avoids them, but tunnels make them.

use super::segment::{Flow, Segment};

/// Datagrams that can be incomplete at a time; more than that, and the oldest is given up.
const SLOTS: usize = 64;

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
    slots: Vec<Slot>,
    next: usize,
    /// Datagrams that were given up, for others came.
    pub given_up: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    flow: Flow,
    id: u32,
    /// Bytes that are here.
    received: u32,
    /// Bytes of the whole, once its last fragment is here.
    total: Option<u32>,
    /// The segment, and how much of its datagram is header.
    head: Option<(Segment, u32)>,
}

impl Default for Fragments {
    fn default() -> Self {
        Self { slots: Vec::with_capacity(SLOTS), next: 0, given_up: 0 }
    }
}

impl Fragments {
    /// Takes a fragment. The segment comes out with the last one that was missing, at the time of that one.
    pub fn put(&mut self, fragment: &Fragment, time: u64) -> Option<Segment> {
        let index = self.slot_of(fragment);
        let slot = &mut self.slots[index];
        slot.received = slot.received.saturating_add(fragment.len);
        if fragment.part.is_last {
            slot.total = Some(fragment.part.offset.saturating_add(fragment.len));
        }
        if let Some(head) = fragment.head {
            slot.head = Some((head, fragment.len.saturating_sub(head.payload)));
        }
        let (head, header_len) = slot.head?;
        let total = slot.total.filter(|&total| slot.received >= total)?;
        let payload = total.saturating_sub(header_len);
        self.slots.swap_remove(index);
        Some(Segment { payload, time, ..head })
    }

    fn slot_of(&mut self, fragment: &Fragment) -> usize {
        let is_its = |slot: &Slot| slot.id == fragment.part.id && slot.flow == fragment.flow;
        if let Some(index) = self.slots.iter().position(is_its) {
            return index;
        }
        let slot = Slot { flow: fragment.flow, id: fragment.part.id, received: 0, total: None, head: None };
        if self.slots.len() < SLOTS {
            self.slots.push(slot);
            return self.slots.len() - 1;
        }
        self.given_up += 1;
        self.next = (self.next + 1) % SLOTS;
        self.slots[self.next] = slot;
        self.next
    }
}
