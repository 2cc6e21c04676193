//! Filters in the language of tcpdump. libpcap has to be installed.

use netlab::Pair;
use streams::capture::{CaptureError, Filter, Interface, Ring};

use crate::support::captured::{Captured, OPTIONS, open, read_until};
use crate::support::packets::{Injector, Packet, ethernet, ipv4, network, segment, silence};
use crate::support::require_root;

/// What a filter lets through of packets with these tags, as a list of ports; read until so many are 9.
fn ports(ring: &mut Ring, injector: &Injector, packets: &[(&[u16], Packet)], nines: usize) -> Vec<u16> {
    for (tags, packet) in packets {
        injector.send(&ethernet(tags, packet));
    }
    let port = |frame: &Captured| {
        let (_, ip) = network(frame.link, &frame.bytes);
        u16::from_be_bytes([ip[22], ip[23]])
    };
    let captured = read_until(ring, |captured| captured.iter().filter(|frame| port(frame) == 9).count() >= nines);
    assert!(captured.iter().all(|frame| frame.bytes.len() == 256.min(frame.wire_len as usize)));
    captured.iter().map(port).collect()
}

#[test]
fn only_what_is_described_is_captured() {
    require_root!();
    let pair = Pair::new();
    silence(&pair.left);
    silence(&pair.right);
    let injector = Injector::new(&pair.left, "veth0");
    let tcp = |port| ipv4("TCP", 6, 0, &segment(port, 500));
    let plain: &[u16] = &[];
    let tagged: &[u16] = &[0x8100];
    let packets = [
        (plain, tcp(5000)),
        (plain, tcp(5001)),
        (plain, ipv4("UDP", 17, 0, &segment(5002, 500))),
        (tagged, tcp(5001)),
        (tagged, tcp(5003)),
        (tagged, ipv4("UDP", 17, 0, &segment(5004, 500))),
        (tagged, tcp(9)),
        (plain, tcp(9)),
    ];
    let port = "tcp port 5001 or tcp port 9";
    let (left, right) = (&pair.left, &pair.right);
    // The receiving side has the tag beside the bytes, where only `vlan` looks for it; the sending one in them.
    for (side, interface, expression, expected) in [
        (left, "veth0", port, &[5001, 9][..]),
        (right, "veth0", port, &[5001, 5001, 9, 9]),
        (left, "veth0", "udp or tcp port 9", &[5002, 9]),
        (right, "veth0", "udp or tcp port 9", &[5002, 5004, 9, 9]),
        (left, "veth0", "vlan and tcp", &[5001, 5003, 9]),
        (right, "veth0", "vlan and tcp", &[5001, 5003, 9]),
        (left, "any", port, &[5001, 5001, 9, 9]),
        (right, "any", port, &[5001, 5001, 9, 9]),
    ] {
        let mut ring = open(side, interface, expression, None).expect("the ring opens");
        let nines = expected.iter().filter(|&&port| port == 9).count();
        let found = ports(&mut ring, &injector, &packets, nines);
        assert_eq!(found, expected, "{expression} on {interface} of {side:?}");
    }
}

#[test]
fn directions_can_be_told_apart() {
    require_root!();
    let pair = Pair::new();
    let mut inbound = open(&pair.left, "veth0", "inbound and tcp", None).expect("the ring opens");
    let mut outbound = open(&pair.left, "veth0", "outbound and tcp", None).expect("the ring opens");
    let (left, right) = (Injector::new(&pair.left, "veth0"), Injector::new(&pair.right, "veth0"));
    let tcp = |port| (&[][..], ipv4("TCP", 6, 0, &segment(port, 0)));
    left.send(&ethernet(&[], &tcp(1).1));
    right.send(&ethernet(&[], &tcp(2).1));
    assert_eq!(ports(&mut inbound, &right, &[tcp(9)], 1), [2, 9]);
    assert_eq!(ports(&mut outbound, &left, &[tcp(9)], 1), [1, 9]);
}

#[test]
fn a_wrong_expression_is_explained_in_the_words_of_libpcap() {
    require_root!();
    let pair = Pair::new();
    for (interface, expression, reason) in [
        ("veth0", "tcp prot 80", "syntax error"),
        ("any", "tcp prot 80", "syntax error"),
        ("any", "ether host 02:00:00:00:00:01", "ethernet addresses supported only on ethernet"),
        ("veth0", "tcp and udp", "expression rejects all packets"),
        ("veth0", "tcp\0", "zero byte"),
    ] {
        let error = open(&pair.left, interface, expression, None).expect_err("it is wrong").to_string();
        assert!(error.contains(reason) && error.contains(&format!("{expression:?}")), "{error}");
    }
}

#[test]
fn a_filter_is_not_used_on_an_interface_that_it_does_not_fit() {
    require_root!();
    let pair = Pair::new();
    pair.left.run(|| {
        let [veth, any] = ["veth0", "any"].map(|name| Interface::named(name).expect("is there"));
        for (compiled_for, used_on) in [(&veth, &any), (&any, &veth)] {
            let filter = Filter::compile("tcp port 80", compiled_for).expect("compiles");
            let error = Ring::open(used_on, &filter, &OPTIONS, None).expect_err("does not fit");
            assert!(matches!(error, CaptureError::FilterOfOtherLink { .. }), "{error}");
            Ring::open(compiled_for, &filter, &OPTIONS, None).expect("fits");
            Ring::open(used_on, &Filter::tcp(), &OPTIONS, None).expect("fits");
        }
    });
}
