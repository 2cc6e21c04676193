//! From the bytes of a frame to a TCP segment. Nothing is allocated, and no bytes make it panic.
//!
//! [`parse`] goes through the layers: [link](Link) (Ethernet with any number of VLAN tags, cooked, raw, loopback), IPv4
//! or IPv6 with its extension headers, TCP with its options. Fragments of a datagram are put together again by
//! [`Fragments`], of their lengths only.

mod bytes;
mod fragments;
mod ip;
mod link;
mod segment;
mod tcp;

pub use fragments::{Fragment, Fragments};
pub use link::Link;
pub use segment::{Ecn, Endpoint, Flags, Flow, SackBlocks, Segment};

/// A captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it begins with.
    pub link: Link,
    /// When it was captured, in nanoseconds since 1970.
    pub time: u64,
    /// Its bytes, as many as were captured.
    pub bytes: &'a [u8],
    /// Its length when it passed.
    pub wire_len: u32,
    /// Payload of each segment (`gso_size`), if it stands for several that are cut apart, or were joined, elsewhere
    /// (GSO, GRO). `None` where that is not told.
    pub gso_size: Option<u16>,
    /// Number of the interface that it was captured on: what passes several is told apart by it. 0 where there is one.
    pub interface: u32,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packet {
    /// A whole TCP segment.
    Segment(Segment),
    /// A part of one.
    Fragment(Fragment),
}

/// Why a frame is no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoSegment {
    /// Something else than TCP over IP.
    OtherProtocol,
    /// The capture has cut it before the end of what is needed.
    Truncated,
    /// Its headers contradict each other, or what passed.
    Malformed,
}

/// Takes a frame apart.
#[inline]
pub fn parse(frame: &Frame<'_>) -> Result<Packet, NoSegment> {
    let datagram = link::datagram(frame)?;
    let ip = ip::parse(&datagram)?;
    match ip.fragment {
        None => tcp::parse(frame, &ip).map(Packet::Segment),
        Some(part) => Ok(Packet::Fragment(Fragment {
            flow: ip.flow_of_addresses(),
            interface: link::interface(frame),
            part,
            len: ip.payload_len,
            head: if part.offset == 0 { tcp::parse(frame, &ip).map(Some)? } else { None },
        })),
    }
}

#[cfg(test)]
mod tests;
