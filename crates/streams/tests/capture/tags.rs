//! The built-in filter on packets made by hand, within VLAN tags and without, wherever the kernel keeps those.

use netlab::{Namespace, Pair};
use streams::packet::Link;

use crate::support::captured::{Captured, read_until, ring};
use crate::support::packets::{ARP, IPV4, IPV6, Injector, Packet, ethernet, ipv4, ipv6, network, segment, silence};
use crate::support::require_root;

const CUSTOMER: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;
const TAGS: [&[u16]; 4] = [&[], &[CUSTOMER], &[SERVICE, CUSTOMER], &[CUSTOMER, CUSTOMER]];

/// TCP, and what it may be behind.
fn accepted() -> Vec<Packet> {
    let extension = |next_header: u8| [&[next_header, 0, 1, 4, 0, 0, 0, 0][..], &segment(5001, 10)].concat();
    vec![
        ipv4("TCP", 6, 0, &segment(5001, 10)),
        ipv4("fragment of TCP", 6, 1480, &[1; 40]),
        ipv4("2048 bytes long, which looks like an EtherType", 6, 0, &segment(5001, 2048 - 40)),
        ipv6("TCP", 6, &segment(5001, 10)),
        ipv6("hop-by-hop options", 0, &extension(6)),
        ipv6("routing", 43, &extension(6)),
        ipv6("fragment", 44, &extension(6)),
        ipv6("authentication", 51, &extension(6)),
        ipv6("destination options", 60, &extension(6)),
        ipv6("mobility", 135, &extension(6)),
    ]
}

fn rejected() -> Vec<Packet> {
    vec![
        ipv4("UDP", 17, 0, &segment(5001, 10)),
        ipv4("ICMP", 1, 0, &[8; 40]),
        ipv6("UDP", 17, &segment(5001, 10)),
        ipv6("ICMP", 58, &[128; 40]),
        Packet { what: "ARP", ether_type: ARP, bytes: ipv4("", 6, 0, &[6; 40]).bytes },
        Packet { what: "neither", ether_type: 0x1234, bytes: ipv4("", 6, 0, &[6; 40]).bytes },
        Packet { what: "cut", ether_type: 0x0800, bytes: vec![0x45, 0, 0, 20, 0, 0] },
    ]
}

/// Sends all packets with all tags, and compares what is captured elsewhere.
fn expect_accepted(sent_from: (&Namespace, &str), captured_on: (&Namespace, &str)) {
    let injector = Injector::new(sent_from.0, sent_from.1);
    for tags in TAGS {
        let mut ring = ring(captured_on.0, captured_on.1);
        for packet in rejected().iter().chain(&accepted()) {
            injector.send(&ethernet(tags, packet));
        }
        let last = ipv4("the last one", 6, 0, &segment(9, 0));
        injector.send(&ethernet(tags, &last));

        let is_last = |frame: &Captured| frame.bytes.ends_with(&last.bytes);
        let mut captured = read_until(&mut ring, |captured| captured.iter().any(is_last));
        captured.pop();
        let mut captured: Vec<_> = captured.iter().map(|frame| network(frame.link, &frame.bytes)).collect();
        if captured_on.1 == "any" && !tags.is_empty() {
            // Without the link layer the filter cannot know that this is not IP; who reads it can.
            captured.retain(|(protocol, _)| [IPV4, IPV6].contains(protocol));
        }
        let accepted = accepted();
        assert_eq!(captured.len(), accepted.len(), "tags {tags:x?}: {captured:x?}");
        for (captured, accepted) in captured.iter().zip(&accepted) {
            assert_eq!(captured.0, accepted.ether_type, "{} in {tags:x?}: {:x?}", accepted.what, captured.1);
            // Cut, if it is long.
            assert!(accepted.bytes.starts_with(captured.1), "{} in {tags:x?}", accepted.what);
            assert!(captured.1.len() >= accepted.bytes.len().min(200), "{} in {tags:x?}", accepted.what);
        }
    }
}

/// A silent one, with room for the longest packet.
fn pair() -> Pair {
    let pair = Pair::new();
    for side in [&pair.left, &pair.right] {
        silence(side);
        side.ip(&["link", "set", "veth0", "mtu", "3000"]);
    }
    pair
}

#[test]
fn tags_in_the_bytes_of_what_is_sent() {
    require_root!();
    let pair = pair();
    expect_accepted((&pair.left, "veth0"), (&pair.left, "veth0"));
    expect_accepted((&pair.left, "veth0"), (&pair.left, "any"));
}

#[test]
fn tags_that_the_kernel_takes_out_of_what_arrives() {
    require_root!();
    let pair = pair();
    expect_accepted((&pair.left, "veth0"), (&pair.right, "veth0"));
    expect_accepted((&pair.left, "veth0"), (&pair.right, "any"));
}

#[test]
fn tags_that_the_kernel_leaves_to_the_hardware_of_what_is_sent() {
    require_root!();
    let pair = pair();
    // What arrives is sent on with its tag beside the bytes, because a veth takes it so.
    let right = &pair.right;
    right.ip(&["link", "add", "veth1", "mtu", "3000", "type", "veth", "peer", "name", "veth2", "mtu", "3000"]);
    right.ip(&["link", "add", "bridge0", "type", "bridge"]);
    for port in ["veth0", "veth1"] {
        right.ip(&["link", "set", port, "master", "bridge0"]);
    }
    for interface in ["veth1", "veth2", "bridge0"] {
        right.ip(&["link", "set", interface, "up"]);
    }
    expect_accepted((&pair.left, "veth0"), (right, "veth1"));
}

#[test]
fn frames_are_cut_at_the_snap_length() {
    require_root!();
    let pair = pair();
    let injector = Injector::new(&pair.left, "veth0");
    let packet = ipv4("long", 6, 0, &segment(9, 1000));
    for (interface, link, header) in [("veth0", Link::Ethernet, 14), ("any", Link::Protocol(0x0800), 0)] {
        let mut ring = ring(&pair.right, interface);
        injector.send(&ethernet(&[], &packet));
        let captured = read_until(&mut ring, |captured| !captured.is_empty());
        let frame = &captured[0];
        assert_eq!(frame.link, link);
        assert_eq!(frame.wire_len, header + 1040);
        assert_eq!(frame.bytes, ethernet(&[], &packet)[14 - header as usize..][..256]);
    }
}
