//! A connection: its two streams share what they know.

use super::counters::Counters;
use super::stream::Stream;
use crate::packet::{Endpoint, Flags, Flow, Segment};

/// Both directions of a connection.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(super) key: Key,
    /// From the lower end to the higher one, and back.
    pub(super) streams: [Stream; 2],
    /// The interface that each of them is followed on.
    interfaces: [u32; 2],
    /// A SYN that may be the first packet of another connection, and the stream it came in.
    reopening: Option<Box<(usize, Segment)>>,
    /// When its first packet passed, in nanoseconds since 1970.
    began: u64,
    /// Whether it ends, or has gone on after all, since it was told of.
    pub(crate) is_urgent: bool,
    /// Whether something has passed since it was told of.
    pub(crate) news: News,
}

/// Whether a connection is to be told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum News {
    /// All has been told.
    #[default]
    None,
    /// Within a second.
    Soon,
    /// As soon as the packets are handled that are there.
    Now,
}

/// Which connection between its ends a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// To the one that is known.
    Here,
    /// To another one: its first packet, or the answer to that.
    ToAnother,
    /// To another one, if the other end answers it.
    PerhapsToAnother,
}

/// The ends of a connection, so that packets of both directions have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) low: Endpoint,
    pub(super) high: Endpoint,
}

impl Key {
    /// The key, and which of the streams is that of the flow.
    #[inline]
    pub(crate) fn of(flow: &Flow) -> (Self, usize) {
        let Flow { source, destination } = *flow;
        if source <= destination {
            (Self { low: source, high: destination }, 0)
        } else {
            (Self { low: destination, high: source }, 1)
        }
    }
}

impl Connection {
    /// One whose first packet, which it is still to take, passes at this time.
    pub(crate) fn new(key: Key, began: u64) -> Self {
        Self {
            key,
            streams: Default::default(),
            interfaces: [0; 2],
            reopening: None,
            began,
            is_urgent: false,
            news: News::None,
        }
    }

    /// Belongs a packet of the stream of this number.
    #[inline]
    pub(crate) fn take(&mut self, stream: usize, segment: &Segment) {
        let had_ended = self.has_ended();
        if self.streams[stream].counters.packets == 0 {
            self.interfaces[stream] = segment.interface;
        }
        let [low, high] = &mut self.streams;
        match stream {
            0 => low.take(high, segment),
            _ => high.take(low, segment),
        }
        self.is_urgent |= segment.flags.any(Flags::FIN.with(Flags::RST)) || self.has_ended() != had_ended;
    }

    /// Whether a packet was seen on another interface before: on a bridge and its port, say.
    ///
    /// A stream is followed on one interface. If another one has something new, its path has changed, and it is followed
    /// there.
    #[inline]
    pub(crate) fn is_copy(&mut self, stream: usize, segment: &Segment) -> bool {
        let (this, interface) = (&self.streams[stream], &mut self.interfaces[stream]);
        if *interface == segment.interface || this.counters.packets == 0 {
            return false;
        }
        let is_copy = !this.is_news(segment);
        if !is_copy {
            *interface = segment.interface;
        }
        is_copy
    }

    /// Whether a packet is of this connection: a SYN that is not its own, or comes after a reset, begins another one between the
    /// same ends. If it goes on that is only so if the other end agrees: anybody can send a SYN (RFC 5961, 4).
    #[inline]
    pub(crate) fn belonging_of(&self, stream: usize, segment: &Segment) -> Belongs {
        if !segment.flags.any(Flags::SYN) {
            return Belongs::Here;
        }
        let (this, peer) = (&self.streams[stream], &self.streams[1 - stream]);
        let is_another = this.isn != Some(segment.seq);
        if segment.flags.any(Flags::ACK) {
            let is_answer =
                self.reopening.as_deref().is_some_and(|(of, syn)| *of != stream && syn.end() == segment.ack);
            // Its SYN was not seen, if packets of one direction are all that is captured.
            let is_alone = is_another && this.counters.packets > 0 && peer.counters.packets == 0;
            return if is_answer || is_alone { Belongs::ToAnother } else { Belongs::Here };
        }
        // Both ends at once begin one connection.
        let is_another = is_another && (this.counters.packets > 0 || peer.isn.is_none() || self.has_ended());
        match is_another || self.is_reset() {
            false => Belongs::Here,
            true if self.has_ended() || self.was_never_open() || peer.counters.packets == 0 => Belongs::ToAnother,
            true => Belongs::PerhapsToAnother,
        }
    }

    /// Counts a SYN that may be the first packet of another connection.
    pub(crate) fn put_by(&mut self, stream: usize, segment: &Segment) {
        let counters = &mut self.streams[stream].counters;
        counters.packets += 1;
        counters.bytes += u64::from(segment.payload);
        counters.strays += 1;
        self.reopening = Some(Box::new((stream, *segment)));
    }

    /// Lets go of the SYN that the other end has answered: it was no packet of this connection.
    pub(crate) fn take_syn(&mut self) -> Option<(usize, Segment)> {
        let (stream, segment) = *self.reopening.take()?;
        let counters = &mut self.streams[stream].counters;
        counters.packets -= 1;
        counters.bytes -= u64::from(segment.payload);
        counters.strays -= 1;
        Some((stream, segment))
    }

    /// Becomes a new connection between the same ends.
    pub(crate) fn begin_again(&mut self, began: u64) {
        *self = Self::new(self.key, began);
    }

    /// When its first packet passed, in nanoseconds since 1970.
    pub(crate) fn began(&self) -> u64 {
        self.began
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Whether it is the one of this key.
    #[inline]
    pub(crate) fn is_between(&self, key: &Key) -> bool {
        self.key == *key
    }

    /// Whether all there has been are SYNs, and resets in answer to them.
    pub(crate) fn was_never_open(&self) -> bool {
        let of_no_use = |it: &Counters| u64::from(it.syns) + u64::from(it.resets);
        self.streams.iter().all(|stream| stream.counters.packets == of_no_use(&stream.counters))
    }

    /// Streams of which a packet was seen.
    pub fn streams(&self) -> usize {
        self.streams.iter().filter(|stream| stream.counters.packets > 0).count()
    }

    /// Whether both sides are done with it, or one has reset it.
    pub fn has_ended(&self) -> bool {
        let [low, high] = &self.streams;
        self.is_reset() || (low.is_finished(high) && high.is_finished(low))
    }

    /// What was counted of the stream of this number, 0 or 1.
    #[inline]
    pub(crate) fn counters(&self, stream: usize) -> &Counters {
        &self.streams[stream].counters
    }

    /// Whether a side has reset it.
    pub fn is_reset(&self) -> bool {
        self.streams.iter().any(|stream| stream.reset.is_some())
    }

    /// When its last packet passed, in nanoseconds since 1970.
    pub fn last(&self) -> u64 {
        let [low, high] = &self.streams;
        low.last.max(high.last)
    }
}
