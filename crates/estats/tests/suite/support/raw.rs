//! Segments made by hand.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use netlab::Namespace;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with};

/// Sends segments as if it were one end of a connection.
#[derive(Debug)]
pub(crate) struct Raw {
    socket: OwnedFd,
    from: SocketAddrV4,
    to: SocketAddrV4,
}

/// What is in a segment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crafted<'a> {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    /// Besides ACK.
    pub(crate) flags: u8,
    pub(crate) options: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl Raw {
    /// For the connection between these two; runs in the namespace of the first.
    pub(crate) fn new(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Self {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else { panic!("made for IPv4") };
        let open = || socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW));
        Self { socket: namespace.run(|| open().expect("root may")), from, to }
    }

    /// Says, from the other end, that a segment of this end was too large for the path (ICMP, RFC 1191).
    pub(crate) fn too_large(&self, other_end: &Namespace, seq: u32, mtu: u16) {
        let mut icmp = vec![3, 4, 0, 0, 0, 0];
        icmp.extend(mtu.to_be_bytes());
        icmp.extend([0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        icmp.extend(self.from.ip().octets());
        icmp.extend(self.to.ip().octets());
        icmp.extend(self.from.port().to_be_bytes());
        icmp.extend(self.to.port().to_be_bytes());
        icmp.extend(seq.to_be_bytes());
        let sum = folded(&icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let open = || socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::ICMP));
        let socket = other_end.run(|| open().expect("root may"));
        sendto(&socket, &icmp, SendFlags::empty(), &SocketAddrV4::new(*self.from.ip(), 0)).expect("is sent");
    }

    pub(crate) fn send(&self, segment: &Crafted<'_>) {
        const ACK: u8 = 16;
        let mut options = segment.options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        let mut tcp = Vec::new();
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(segment.seq.to_be_bytes());
        tcp.extend(segment.ack.to_be_bytes());
        tcp.extend([(5 + options.len() as u8 / 4) << 4, ACK | segment.flags]);
        tcp.extend(segment.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&options);
        tcp.extend(segment.payload);
        let sum = checksum(*self.from.ip(), *self.to.ip(), &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        // The kernel fills in length, identification and checksum.
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
        packet.extend(self.from.ip().octets());
        packet.extend(self.to.ip().octets());
        packet.extend(&tcp);
        sendto(&self.socket, &packet, SendFlags::empty(), &SocketAddrV4::new(*self.to.ip(), 0)).expect("is sent");
    }
}

fn checksum(from: Ipv4Addr, to: Ipv4Addr, tcp: &[u8]) -> u16 {
    let mut pseudo = Vec::new();
    pseudo.extend(from.octets());
    pseudo.extend(to.octets());
    pseudo.extend([0, 6]);
    pseudo.extend((tcp.len() as u16).to_be_bytes());
    pseudo.extend(tcp);
    folded(&pseudo)
}

/// The Internet checksum (RFC 1071).
fn folded(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default());
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) as u16 + (folded >> 16) as u16)
}
