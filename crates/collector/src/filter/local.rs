//! Local connections: between programs of this host, or on one link.
//!
//! A socket is local if either address is loopback or link-local, IPv4 in IPv6 included. The Go original also leaves out
//! multicast and unspecified addresses; TCP connections have neither.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use inetdiag::InetDiagMsg;

use super::bytecode::{HostCondition, Side, reject};

/// The networks that are local, with their prefix lengths.
const LOCAL_NETWORKS: [(IpAddr, u8); 4] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// The bytecode that leaves out sockets with a local address at either end.
pub fn reject_local() -> Vec<u8> {
    let mut conditions = Vec::new();
    for (network, prefix_len) in LOCAL_NETWORKS {
        for side in [Side::Source, Side::Destination] {
            conditions.push(HostCondition { side, network, prefix_len });
        }
    }
    reject(&conditions)
}

/// Whether either end of the socket has a local address.
pub fn is_local(socket: &InetDiagMsg) -> bool {
    is_local_address(socket.src()) || is_local_address(socket.dst())
}

fn is_local_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_are_local_in_every_form() {
        for local in ["127.0.0.1", "127.9.9.9", "169.254.1.1", "::1", "fe80::1", "febf::1", "::ffff:127.0.0.1"] {
            assert!(is_local_address(local.parse().expect("an address")), "{local}");
        }
        for other in ["0.0.0.0", "10.0.0.1", "128.0.0.1", "::", "::2", "fec0::1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(!is_local_address(other.parse().expect("an address")), "{other}");
        }
    }
}
