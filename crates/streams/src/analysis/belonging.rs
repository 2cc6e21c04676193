//! Whether a packet belongs to the stream whose addresses and ports it has: not every one does that passes.

use super::seq::{after, before};
use super::stream::Stream;
use crate::packet::{Flags, Segment};

/// Sequence numbers may jump so far whatever the window: a receiver that is out of reach for a moment must not stop
/// the analysis, and numbers by chance are nearer in one of two thousand cases only.
const NEAR: u64 = 1 << 20;
/// Where the window is not known: no larger one can be told without scaling.
const UNSCALED: u64 = u16::MAX as u64;
/// What was sent before a reset and is overtaken by it comes within this time, in nanoseconds.
const OVERTAKEN_WITHIN: u64 = 200_000_000;

impl Stream {
    /// Whether a packet says something that none before it has.
    pub(super) fn is_news(&self, segment: &Segment) -> bool {
        if segment.flags.any(Flags::SYN) {
            return self.isn != Some(segment.seq);
        }
        self.next.is_none_or(|next| after(segment.end(), next))
            || segment.flags.any(Flags::ACK) && self.ack.is_none_or(|ack| after(segment.ack, ack))
            || segment.flags.any(Flags::RST) && self.counters.resets == 0
    }

    /// Whether its sequence number is so far from all others, by what the receiver takes, that it is of another connection or of
    /// none. After a second one next to it, this is where the stream is: the capture has missed what was between.
    #[inline]
    pub(super) fn is_stray(&mut self, peer: &Self, segment: &Segment) -> bool {
        let Some(next) = self.next else { return false };
        if distance(segment.seq, next) <= NEAR {
            return false;
        }
        let Some(reach) = peer.reach(self) else { return false };
        if distance(segment.seq, next) <= reach {
            return false;
        }
        if self.stray.is_some_and(|stray| distance(segment.seq, stray) <= reach) {
            self.jump();
            return false;
        }
        self.stray = Some(segment.end());
        true
    }

    /// Whether an acknowledgment number is so far ahead of what `peer` has sent that nobody takes it (RFC 5961, 5).
    pub(super) fn acknowledges_nothing(&self, peer: &Self, ack: u32) -> bool {
        let ahead = peer.next.filter(|&next| after(ack, next)).map_or(0, |next| distance(ack, next));
        ahead > NEAR && self.reach(peer).is_some_and(|reach| ahead > reach)
    }

    /// How far sequence numbers of `peer` may be apart: twice the largest window of this side.
    fn reach(&self, peer: &Self) -> Option<u64> {
        let window = self.window.largest(self.window_scale(peer))?;
        Some(NEAR.max(2 * window))
    }

    /// Whether the receiver takes a reset: its sequence number is the one that is expected, or in the window (RFC 9293,
    /// 3.10.7.4; of those in the window a kernel takes only some, RFC 5961, 3).
    pub(super) fn may_reset(&self, peer: &Self, segment: &Segment) -> bool {
        let Some(next) = self.next else { return true };
        let window = peer.window.bytes(peer.window_scale(self)).unwrap_or(UNSCALED);
        let is_in_window = |ack: u32| {
            let ahead = segment.seq.wrapping_sub(ack);
            !before(segment.seq, ack) && u64::from(ahead) <= window
        };
        segment.seq == next || peer.ack.is_some_and(is_in_window)
    }

    /// Whether its sender goes on behind the reset that was seen: then nobody has taken that.
    pub(super) fn goes_on_behind_reset(&self, segment: &Segment) -> bool {
        let Some(reset) = self.reset else { return false };
        let is_news = segment.payload > 0 && self.next.is_some_and(|next| after(segment.end(), next))
            || segment.flags.any(Flags::ACK) && self.ack.is_some_and(|ack| after(segment.ack, ack));
        is_news && (!before(segment.end(), reset) || segment.time > self.ended.saturating_add(OVERTAKEN_WITHIN))
    }
}

fn distance(a: u32, b: u32) -> u64 {
    u64::from((a.wrapping_sub(b) as i32).unsigned_abs())
}
