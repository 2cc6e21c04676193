//! Every packet of a transfer is captured, and once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use netlab::{Namespace, Pair};
use streams::packet::Link;

use crate::support::captured::{Captured, read_until, ring};
use crate::support::traffic::{Ends, echo, has_answer, knock, segments, segments_sent};
use crate::support::{PATIENCE, require_root};

const RIGHT: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2))];
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const NOBODY: u16 = 9;
const MEGABYTE: usize = 1 << 20;

/// Over each address a transfer and a knock; what was captured until the last answer.
fn transfers(client: &Namespace, server: &Namespace, interface: &str, addresses: [IpAddr; 2]) -> Vec<Captured> {
    let mut ring = ring(client, interface);
    for address in addresses {
        echo(client, server, address, MEGABYTE);
    }
    // UDP is not captured: what is, is taken apart as TCP.
    client.run(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("binds");
        socket.send_to(b"not this", ("127.0.0.1", 5001)).expect("sends");
        socket.send_to(b"not this", (Ipv4Addr::new(10, 77, 0, 2), 5001)).or_else(no_route).expect("sends");
    });
    knock(client, addresses[0], NOBODY);
    let captured = read_until(&mut ring, |captured| has_answer(captured, NOBODY));
    let statistics = ring.statistics().expect("the kernel counts");
    assert_eq!((statistics.dropped, statistics.malformed), (0, 0));
    assert_eq!(statistics.received, captured.len() as u64);
    captured
}

fn no_route(error: std::io::Error) -> std::io::Result<usize> {
    if error.kind() == std::io::ErrorKind::NetworkUnreachable { Ok(0) } else { Err(error) }
}

/// What the kernel says it sent is what was captured, once nothing is on its way.
fn expect_segments(captured: &[Captured], namespaces: &[&Namespace]) {
    let deadline = Instant::now() + PATIENCE;
    let sent = || namespaces.iter().map(|namespace| segments_sent(namespace)).sum::<u64>();
    while sent() < segments(captured) && Instant::now() < deadline {
        thread::yield_now();
    }
    assert_eq!(segments(captured), sent());
}

#[test]
fn each_segment_alone_is_captured_once() {
    require_root!();
    let pair = Pair::new();
    for side in [&pair.left, &pair.right] {
        side.ip(&["link", "set", "veth0", "gso_max_segs", "1"]);
    }
    let captured = transfers(&pair.left, &pair.right, "veth0", RIGHT);
    assert!(captured.iter().all(|frame| frame.gso_size.is_none() && frame.wire_len <= 1514));
    assert!(captured.len() > 2 * 2 * MEGABYTE / 1460);
    expect_segments(&captured, &[&pair.left, &pair.right]);
}

#[test]
fn joined_segments_say_how_many_they_are() {
    require_root!();
    let pair = Pair::new();
    let captured = transfers(&pair.left, &pair.right, "veth0", RIGHT);
    assert!(captured.iter().all(|frame| frame.gso_size.is_some() == (frame.wire_len > 1514)));
    for is_to_right in [true, false] {
        for is_ipv6 in [true, false] {
            let is_joined = |ends: Ends| {
                let ends_on_right = (RIGHT.contains(&ends.to.ip()), RIGHT.contains(&ends.from.ip()));
                ends.to.is_ipv6() == is_ipv6 && ends.segments > 1 && ends_on_right == (is_to_right, !is_to_right)
            };
            let mut ends = captured.iter().filter_map(Ends::of);
            assert!(ends.any(is_joined), "to the right: {is_to_right}, IPv6: {is_ipv6}");
        }
    }
    expect_segments(&captured, &[&pair.left, &pair.right]);
}

#[test]
fn packets_of_more_than_64_kib_have_their_length() {
    require_root!();
    let pair = Pair::new();
    // BIG TCP.
    for side in [&pair.left, &pair.right] {
        side.ip(&["link", "set", "veth0", "gso_max_size", "180000"]);
    }
    let mut ring = ring(&pair.left, "veth0");
    let is_big = |frame: &Captured| frame.wire_len > 100_000;
    let mut captured = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !captured.iter().any(is_big) && Instant::now() < deadline {
        echo(&pair.left, &pair.right, RIGHT[1], 8 * MEGABYTE);
        knock(&pair.left, RIGHT[1], NOBODY);
        captured.extend(read_until(&mut ring, |captured| has_answer(captured, NOBODY)));
    }
    assert!(captured.iter().any(is_big));
    expect_segments(&captured, &[&pair.left, &pair.right]);
}

#[test]
fn times_are_those_of_the_clock_and_in_order() {
    require_root!();
    let pair = Pair::new();
    let nanoseconds =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let before = nanoseconds();
    let captured = transfers(&pair.left, &pair.right, "veth0", RIGHT);
    let after = nanoseconds();
    assert!(captured.iter().all(|frame| (before..=after).contains(&frame.time)));
    assert!(captured.last().expect("some").time - captured[0].time < Duration::from_secs(20).as_nanos() as u64);
}

#[test]
fn what_passes_a_loopback_interface_twice_is_captured_once() {
    require_root!();
    let host = Namespace::new();
    let captured = transfers(&host, &host, "lo", LOOPBACK);
    assert!(captured.iter().all(|frame| frame.link == Link::Ethernet));
    expect_segments(&captured, &[&host]);
}

#[test]
fn all_interfaces_at_once_have_each_packet_once() {
    require_root!();
    let pair = Pair::new();
    // Without it, this capture would not know how many segments a packet is.
    for (side, interface) in [(&pair.left, "veth0"), (&pair.right, "veth0"), (&pair.left, "lo")] {
        side.ip(&["link", "set", interface, "gso_max_segs", "1"]);
    }
    let mut ring = ring(&pair.left, "any");
    assert!(!ring.tells_gso_size());
    for address in LOOPBACK {
        echo(&pair.left, &pair.left, address, MEGABYTE);
    }
    for address in RIGHT {
        echo(&pair.left, &pair.right, address, MEGABYTE);
    }
    knock(&pair.left, RIGHT[0], NOBODY);
    let captured = read_until(&mut ring, |captured| has_answer(captured, NOBODY));
    assert!(captured.iter().all(|frame| matches!(frame.link, Link::Protocol(0x0800 | 0x86dd))));
    for address in RIGHT.into_iter().chain(LOOPBACK) {
        assert!(captured.iter().filter_map(Ends::of).any(|ends| ends.to.ip() == address), "{address}");
    }
    expect_segments(&captured, &[&pair.left, &pair.right]);
}
