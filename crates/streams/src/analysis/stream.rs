//! One stream: what each of its packets changes.

use super::counters::Counters;
use super::delay::Delays;
use super::holes::{Hole, Holes};
use super::rate::Rate;
use super::seq::{after, before, earlier, later};
use super::spread::Spread;
use super::window::Window;
use crate::packet::{Ecn, Flags, Segment};

/// Longer pauses are no time between packets that follow each other.
const LONGEST_INTERARRIVAL: u64 = 10_000_000_000;
/// A packet below the highest sequence number is late, and no retransmission, if it comes within this time (in
/// microseconds), where the round-trip time is not known.
const LATE_WITHIN: u32 = 3_000;
/// Payload of a full segment with timestamps over Ethernet: where neither the handshake nor the capture tells how long
/// segments are.
const USUAL_MSS: u32 = 1448;
/// What TCP options of each packet of an open connection take from the segment size: timestamps, padded.
const TIMESTAMPS_LEN: u32 = 12;

const CONTROL: Flags = Flags::SYN.with(Flags::FIN).with(Flags::RST);

/// State of one direction of a connection.
///
/// Its size is fixed, for there may be hundreds of thousands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    pub(super) counters: Counters,
    pub(super) delays: Delays,
    holes: Holes,
    pub(super) window: Window,
    pub(super) rate: Rate,
    /// Seconds between packets.
    pub(super) interarrival: Spread<100>,
    /// Payload of packets that have some.
    pub(super) packet_size: Spread<100>,
    /// Times of the first and the last packet, in nanoseconds since 1970.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Time of the first FIN, or of the RST that was taken, if there was one.
    pub(super) ended: u64,
    /// Sequence number of the SYN.
    pub(super) isn: Option<u32>,
    /// Behind the highest sequence number that was seen.
    pub(super) next: Option<u32>,
    /// Highest acknowledgment number.
    pub(super) ack: Option<u32>,
    /// Sequence number of a RST from this side that the other one takes.
    pub(super) reset: Option<u32>,
    /// Behind the last packet that was too far away.
    pub(super) stray: Option<u32>,
    /// TSval of the packet with the highest sequence number.
    tsval: Option<u32>,
    /// Maximum segment size that this side can take.
    mss: Option<u16>,
}

const _: () = assert!(size_of::<Stream>() <= 512);

impl Stream {
    /// Belongs a packet of this stream; `peer` is the other direction.
    #[inline]
    pub(super) fn take(&mut self, peer: &mut Self, segment: &Segment) {
        let packets = self.packets_in(peer, segment);
        self.count(segment, packets);
        if self.is_stray(peer, segment) {
            add(&mut self.counters.strays, packets);
            return;
        }
        self.count_flags(peer, segment);
        if segment.flags.any(Flags::ACK) {
            self.acknowledge(peer, segment);
        }
        if !segment.flags.any(Flags::RST) {
            self.advance(peer, segment);
            if segment.payload > 0 && self.holes.first().is_some_and(|missing| after(segment.seq, missing)) {
                add(&mut self.counters.ahead_of_gap, packets);
            }
            let is_syn = segment.flags.any(Flags::SYN);
            let goes_to_zero = self.window.advertise(segment.window, is_syn, segment.time);
            self.counters.zero_window_events += u32::from(goes_to_zero);
        }
    }

    /// When its sender ended it by FIN or RST, in nanoseconds since 1970.
    pub(super) fn ended(&self) -> Option<u64> {
        (self.counters.fins > 0 || self.reset.is_some()).then_some(self.ended)
    }

    /// The shift by which its windows count: each side scales only if both have offered to (RFC 7323, 2.2).
    pub(super) fn window_scale(&self, peer: &Self) -> Option<u8> {
        (self.isn.is_some() && peer.isn.is_some())
            .then(|| self.window.offered_scale.filter(|_| peer.window.offered_scale.is_some()).unwrap_or(0))
    }

    /// Goes on wherever the next packet is.
    pub(super) fn jump(&mut self) {
        (self.next, self.stray, self.holes) = (None, None, Holes::default());
    }

    /// Whether everything this side has sent, FIN included, is acknowledged.
    pub(super) fn is_finished(&self, peer: &Self) -> bool {
        self.counters.fins > 0 && self.next.zip(peer.ack).is_some_and(|(next, ack)| !before(ack, next))
    }

    /// Segments on the wire that a packet stands for.
    #[inline]
    fn packets_in(&self, peer: &Self, segment: &Segment) -> u32 {
        let size = self.segment_size(peer, segment);
        if segment.payload <= size { 1 } else { segment.payload.div_ceil(size) }
    }

    #[inline]
    fn segment_size(&self, peer: &Self, segment: &Segment) -> u32 {
        let options = if segment.timestamps.is_some() { TIMESTAMPS_LEN } else { 0 };
        let told = segment.gso_size.map(u32::from);
        let agreed = peer.mss.map(|mss| u32::from(mss).saturating_sub(options));
        told.or(agreed).filter(|&size| size > 0).unwrap_or(USUAL_MSS)
    }

    #[inline]
    fn count(&mut self, segment: &Segment, packets: u32) {
        let Segment { time, payload, .. } = *segment;
        if self.counters.packets == 0 {
            self.first = time;
        } else {
            let since_last = time.saturating_sub(self.last);
            if since_last < LONGEST_INTERARRIVAL {
                self.interarrival.add(since_last as f32 / 1e9);
            }
        }
        self.last = self.last.max(time);
        let counters = &mut self.counters;
        counters.packets += u64::from(packets);
        counters.bytes += u64::from(payload);
        if payload > 0 {
            self.packet_size.add(payload as f32 / packets as f32);
        }
        self.rate.add(time.saturating_sub(self.first), payload);
        match segment.ecn {
            Ecn::NotEct => {}
            Ecn::Ect => counters.ect += u64::from(packets),
            Ecn::Ce => {
                counters.ect += u64::from(packets);
                add(&mut counters.ce, packets);
            }
        }
    }

    #[inline]
    fn count_flags(&mut self, peer: &Self, segment: &Segment) {
        let flags = segment.flags;
        if self.reset.is_some() && !flags.any(Flags::RST) && self.goes_on_behind_reset(segment) {
            self.reset = None;
        }
        if !flags.any(CONTROL.with(Flags::ECE).with(Flags::CWR)) {
            return;
        }
        let resets = flags.any(Flags::RST) && self.may_reset(peer, segment);
        if (flags.any(Flags::FIN) || resets) && self.ended().is_none() {
            self.ended = segment.time;
        }
        if resets {
            self.reset = Some(segment.seq);
        }
        let counters = &mut self.counters;
        counters.fins += u32::from(flags.any(Flags::FIN));
        counters.resets += u32::from(flags.any(Flags::RST));
        counters.ece += u32::from(flags.any(Flags::ECE));
        counters.cwr += u32::from(flags.any(Flags::CWR));
        if flags.any(Flags::SYN) {
            counters.syns += 1;
            self.isn = Some(segment.seq);
            self.mss = segment.mss;
            self.window.offered_scale = segment.window_scale;
        }
    }

    /// What its acknowledgment says of what the peer has sent.
    #[inline]
    fn acknowledge(&mut self, peer: &mut Self, segment: &Segment) {
        let blocks = segment.sack.as_slice();
        self.counters.sacks += blocks.len() as u32;
        self.counters.dsacks += u32::from(is_dsack(segment.ack, blocks));
        let is_new =
            self.ack.is_none_or(|ack| after(segment.ack, ack)) && !self.acknowledges_nothing(peer, segment.ack);
        if is_new {
            self.ack = Some(segment.ack);
            if peer.next.is_some_and(|next| after(segment.ack, next)) {
                self.counters.unseen_acked += 1;
            }
            if !peer.holes.is_empty() {
                peer.holes.acknowledge(segment.ack);
            }
        } else if self.is_duplicate_ack(peer, segment) {
            self.counters.duplicate_acks += 1;
        }
        if is_new || !blocks.is_empty() {
            let tsecr = segment.timestamps.map(|(_, tsecr)| tsecr);
            peer.delays.acknowledged(segment.ack, blocks, tsecr, microseconds(segment.time));
        }
    }

    /// RFC 5681, 2: data is outstanding, the ACK has no data and no SYN or FIN, and repeats acknowledgment number and window.
    fn is_duplicate_ack(&self, peer: &Self, segment: &Segment) -> bool {
        segment.payload == 0
            && !segment.flags.any(CONTROL)
            && self.ack == Some(segment.ack)
            && peer.next.is_some_and(|next| after(next, segment.ack))
            && self.window.is(segment.window)
    }

    /// What its sequence numbers say.
    #[inline]
    fn advance(&mut self, peer: &Self, segment: &Segment) {
        let (start, end) = (segment.seq, segment.end());
        let len = end.wrapping_sub(start);
        let is_bare = !segment.flags.any(CONTROL);
        let Some(next) = self.next else {
            self.go_on(end, len, segment);
            return;
        };
        if start == next {
            if len == 1 && is_bare && peer.window.is_zero() {
                self.counters.zero_window_probes += 1;
            }
            self.go_on(end, len, segment);
        } else if after(start, next) {
            self.counters.gaps += 1;
            self.counters.gap_bytes += u64::from(start.wrapping_sub(next));
            let tsval = segment.timestamps.map_or(0, |(tsval, _)| tsval);
            self.holes.open(next, start, microseconds(segment.time), tsval);
            self.go_on(end, len, segment);
        } else if is_bare && start == next.wrapping_sub(1) && (len == 0 || len == 1 && !self.awaits_ack(peer)) {
            let counters = &mut self.counters;
            let told = if peer.window.is_zero() { &mut counters.zero_window_probes } else { &mut counters.keep_alives };
            *told += 1;
        } else if len > 0 {
            self.repeat(peer, segment, start, end, next);
        }
    }

    /// Whether the last byte is not acknowledged, and may be sent again therefore. A zero window is probed with it, too.
    fn awaits_ack(&self, peer: &Self) -> bool {
        !peer.window.is_zero() && peer.ack.zip(self.next).is_some_and(|(ack, next)| before(ack, next))
    }

    /// New sequence numbers up to `end`.
    #[inline]
    fn go_on(&mut self, end: u32, len: u32, segment: &Segment) {
        self.next = Some(end);
        if len > 0 {
            self.tsval = segment.timestamps.map(|(tsval, _)| tsval);
            self.delays.sent(end, microseconds(segment.time));
        }
    }

    /// Sequence numbers below the highest: they were seen before, or they were jumped over and come now.
    fn repeat(&mut self, peer: &Self, segment: &Segment, start: u32, end: u32, next: u32) {
        let old_end = earlier(end, next);
        let old_len = old_end.wrapping_sub(start);
        let packets = old_len.div_ceil(self.segment_size(peer, segment)).max(1);
        let hole = self.holes.fill(start, old_end);
        // Of data sent before, TSval is not yet this one, if there has been one since.
        let tsval = segment.timestamps.map(|(tsval, _)| tsval);
        if hole.is_some_and(|hole| self.is_late(peer, &hole, segment)) {
            add(&mut self.counters.out_of_order, packets);
        } else if start == next.wrapping_sub(1) && segment.payload > 1 && self.counters.zero_window_probes > 0 {
            // The byte of a zero window probe, and what follows it: nothing was lost.
        } else {
            add(&mut self.counters.retransmits, packets);
            self.counters.retransmitted_bytes += u64::from(old_len.min(segment.payload));
            let is_spurious = segment.payload > 0 && peer.ack.is_some_and(|ack| !after(end, ack));
            add(&mut self.counters.spurious_retransmits, if is_spurious { packets } else { 0 });
            let newer = tsval.filter(|&tsval| self.tsval.is_some_and(|highest| after(tsval, highest)));
            self.delays.resent(start, old_end, microseconds(segment.time), newer);
        }
        if after(end, next) {
            self.go_on(end, end.wrapping_sub(next), segment);
        }
        self.next = self.next.map(|next| later(next, end));
    }

    /// Whether a packet that fills a hole was sent before the one that made it, and came late.
    ///
    /// Timestamps tell, if they differ. If not, it is so if it comes sooner than a retransmission can: that takes a round
    /// trip, from the packet that made the hole over its ACK.
    fn is_late(&self, peer: &Self, hole: &Hole, segment: &Segment) -> bool {
        if let Some((tsval, _)) = segment.timestamps
            && tsval != hole.tsval
        {
            return before(tsval, hole.tsval);
        }
        let round_trip = self.delays.first().zip(peer.delays.first()).map(|(there, back)| there.saturating_add(back));
        let handshake = round_trip.filter(|_| self.isn.is_some() && peer.isn.is_some());
        // Less than that: the handshake may have taken longer than others do.
        let patience = handshake.map_or(LATE_WITHIN, |round_trip| round_trip / 4 * 3);
        microseconds(segment.time).wrapping_sub(hole.opened) < patience
    }
}

/// Whether the first block tells of data that came twice: it is below the ACK, or within the second one (RFC 2883, 4).
fn is_dsack(ack: u32, blocks: &[(u32, u32)]) -> bool {
    let Some(&(left, right)) = blocks.first() else { return false };
    let is_within = |&(outer_left, outer_right): &(u32, u32)| !before(left, outer_left) && !after(right, outer_right);
    !after(right, ack) || blocks.get(1).is_some_and(is_within)
}

/// A frame may say that it stands for any number of packets: what is more than there is room for stays at that.
fn add(counter: &mut u32, packets: u32) {
    *counter = counter.saturating_add(packets);
}

/// Wraps around after 71 minutes; only differences count.
fn microseconds(time: u64) -> u32 {
    (time / 1000) as u32
}
