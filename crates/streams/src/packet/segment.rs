//! A TCP segment: what of its headers counts here.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One end: an address and a port. IPv4 addresses are mapped into IPv6 (`::ffff:0:0/96`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address in network byte order.
    pub address: [u8; 16],
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// The address as one of its own family.
    pub fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.address).to_canonical()
    }

    /// Address and port.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }
}

/// Where packets of one stream come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The sender.
    pub source: Endpoint,
    /// The receiver.
    pub destination: Endpoint,
}

/// An IPv4 address as one of IPv6.
pub(super) fn mapped(address: [u8; 4]) -> [u8; 16] {
    let mut all = [0; 16];
    all[10..12].fill(0xff);
    all[12..].copy_from_slice(&address);
    all
}

/// The two ECN bits of the IP header (RFC 3168).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecn {
    /// Not ECN-capable.
    NotEct,
    /// ECN-capable: ECT(0) or ECT(1).
    Ect,
    /// A router has marked congestion.
    Ce,
}

impl Ecn {
    /// Of the byte that has them as its lowest bits.
    pub(super) fn from_bits(byte: u8) -> Self {
        match byte & 3 {
            0 => Self::NotEct,
            3 => Self::Ce,
            _ => Self::Ect,
        }
    }
}

/// The flags of the TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(1);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(1 << 1);
    /// Reset the connection.
    pub const RST: Self = Self(1 << 2);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(1 << 4);
    /// The sender has received CE (RFC 3168).
    pub const ECE: Self = Self(1 << 6);
    /// The sender has reduced its congestion window (RFC 3168).
    pub const CWR: Self = Self(1 << 7);

    /// Whether one of these flags is set.
    #[inline]
    pub fn any(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// These, too.
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

/// The blocks of a SACK option (RFC 2018): at most four find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SackBlocks {
    pub(crate) blocks: [(u32, u32); 4],
    pub(crate) len: u8,
}

impl SackBlocks {
    /// Left edge, and the sequence number behind the right edge, of each block.
    #[inline]
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.len)]
    }
}

/// A TCP segment, or several in one packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// When it passed, in nanoseconds since 1970.
    pub time: u64,
    /// Number of the interface that it passed.
    pub interface: u32,
    /// Where it comes from and goes to.
    pub flow: Flow,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; without [`Flags::ACK`] it says nothing.
    pub ack: u32,
    /// Flags.
    pub flags: Flags,
    /// The window field, not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload: u32,
    /// Payload of each of the segments that it stands for, if that is told.
    pub gso_size: Option<u16>,
    /// ECN bits of the IP header.
    pub ecn: Ecn,
    /// Maximum segment size (option 2).
    pub mss: Option<u16>,
    /// Shift of the window (option 3, RFC 7323).
    pub window_scale: Option<u8>,
    /// TSval and TSecr (option 8, RFC 7323).
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks (option 5).
    pub sack: SackBlocks,
}

impl Segment {
    /// The sequence number behind it: SYN and FIN have one each.
    #[inline]
    pub fn end(&self) -> u32 {
        let control = u32::from(self.flags.any(Flags::SYN)) + u32::from(self.flags.any(Flags::FIN));
        self.seq.wrapping_add(self.payload).wrapping_add(control)
    }
}
