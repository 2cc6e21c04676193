//! Packets made by hand, and sending them as they are.

use std::os::fd::{AsRawFd, OwnedFd};

use netlab::Namespace;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket};
use streams::packet::Link;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const ARP: u16 = 0x0806;

/// A packet of the network layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) what: &'static str,
    pub(crate) ether_type: u16,
    pub(crate) bytes: Vec<u8>,
}

/// From 192.0.2.1 to 192.0.2.2, which nobody is.
pub(crate) fn ipv4(what: &'static str, protocol: u8, fragment_offset: u16, payload: &[u8]) -> Packet {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend((fragment_offset / 8).to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let checksum = !((sum & 0xffff) as u16 + (sum >> 16) as u16);
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend(payload);
    Packet { what, ether_type: IPV4, bytes }
}

/// From 2001:db8::1 to 2001:db8::2.
pub(crate) fn ipv6(what: &'static str, next_header: u8, payload: &[u8]) -> Packet {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next_header, 64]);
    for last in [1, 2] {
        bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend(payload);
    Packet { what, ether_type: IPV6, bytes }
}

/// A segment from port 40000 to this one.
pub(crate) fn segment(port: u16, payload: usize) -> Vec<u8> {
    let mut bytes = 40000_u16.to_be_bytes().to_vec();
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend((0..payload).map(|number| number as u8));
    bytes
}

/// An Ethernet frame to nobody, with these tags (the EtherType of each; all for VLAN 7).
pub(crate) fn ethernet(tags: &[u16], packet: &Packet) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 0, 0, 0xfd];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(packet.ether_type.to_be_bytes());
    frame.extend(&packet.bytes);
    frame
}

/// What is behind the link layer and tags, found as the link says.
pub(crate) fn network(link: Link, bytes: &[u8]) -> (u16, &[u8]) {
    let ether_type = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (mut protocol, mut at) = match link {
        Link::Ethernet => (ether_type(12), 14),
        Link::Protocol(protocol) => (protocol, 0),
        other => panic!("no capture gives {other:?}"),
    };
    while [0x8100, 0x88a8].contains(&protocol) {
        protocol = ether_type(at + 2);
        at += 4;
    }
    (protocol, &bytes[at..])
}

/// No IPv6 by the hosts themselves: they would send packets of their own, which a filter may let through.
pub(crate) fn silence(namespace: &Namespace) {
    for interfaces in ["all", "default"] {
        namespace.output("sysctl", &["-w", &format!("net.ipv6.conf.{interfaces}.disable_ipv6=1")]);
    }
}

/// A socket that sends frames as they are.
pub(crate) struct Injector(OwnedFd);

impl Injector {
    pub(crate) fn new(namespace: &Namespace, interface: &str) -> Self {
        namespace.run(|| {
            let address: LinkAddr = getifaddrs()
                .expect("there are interfaces")
                .filter(|found| found.interface_name == interface)
                .find_map(|found| found.address?.as_link_addr().copied())
                .expect("the interface is there");
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).expect("root may");
            bind(socket.as_raw_fd(), &address).expect("binds");
            Self(socket)
        })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(send(self.0.as_raw_fd(), frame, MsgFlags::empty()), Ok(frame.len()));
    }

    /// Where the interface may not take it.
    pub(crate) fn try_send(&self, frame: &[u8]) {
        let _ = send(self.0.as_raw_fd(), frame, MsgFlags::empty());
    }
}
