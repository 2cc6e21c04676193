//! Rings that share packets.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use netlab::{Namespace, Pair};
use streams::capture::Fanout;

use crate::support::captured::{Captured, open, read_some};
use crate::support::traffic::{Ends, echo, knock, segments, segments_sent};
use crate::support::{PATIENCE, require_root};

const CONNECTIONS: usize = 30;

/// Two rings of a group; each connection, both its directions, belongs to one of them, and nothing comes twice.
fn expect_shared(client: &Namespace, server: &Namespace, interface: &str, addresses: [IpAddr; 2]) {
    let first = open(client, interface, "tcp", Some(Fanout::New)).expect("the ring opens");
    let group = first.fanout_group().expect("it has one");
    let second = open(client, interface, "tcp", Some(Fanout::Join(group))).expect("the ring opens");
    assert_eq!(second.fanout_group(), Some(group));
    for address in addresses {
        for _ in 0..CONNECTIONS {
            echo(client, server, address, 10_000);
        }
        knock(client, address, 9);
    }

    let mut rings = [first, second];
    let mut captured: [Vec<Captured>; 2] = Default::default();
    let sent = || {
        let own = segments_sent(client);
        if client.name == server.name { own } else { own + segments_sent(server) }
    };
    let deadline = Instant::now() + PATIENCE;
    let seen = |captured: &[Vec<Captured>; 2]| captured.iter().map(|captured| segments(captured)).sum::<u64>();
    while seen(&captured) < sent() && Instant::now() < deadline {
        for (ring, captured) in rings.iter_mut().zip(&mut captured) {
            read_some(ring, captured);
        }
    }
    // What came twice would be there by now: it is behind nothing that was waited for.
    for (ring, captured) in rings.iter_mut().zip(&mut captured) {
        read_some(ring, captured);
        assert_eq!(ring.statistics().expect("counts").dropped, 0);
    }
    assert_eq!(seen(&captured), sent());

    // Per connection: in which rings, and in which directions.
    let mut connections: HashMap<BTreeSet<SocketAddr>, (BTreeSet<usize>, BTreeSet<SocketAddr>)> = HashMap::new();
    for (ring, captured) in captured.iter().enumerate() {
        for ends in captured.iter().filter_map(Ends::of) {
            let (rings, sources) = connections.entry([ends.from, ends.to].into()).or_default();
            rings.insert(ring);
            sources.insert(ends.from);
        }
    }
    assert_eq!(connections.len(), 2 * (CONNECTIONS + 1));
    for (connection, (rings, sources)) in &connections {
        assert_eq!((rings.len(), sources.len()), (1, 2), "{connection:?}");
    }
    // One in 2^60, were it chance.
    assert!(captured.iter().all(|captured| !captured.is_empty()));
}

#[test]
fn both_directions_of_a_connection_come_to_the_same_ring() {
    require_root!();
    let pair = Pair::new();
    let right = [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)), "fd77::2".parse().expect("an address")];
    expect_shared(&pair.left, &pair.right, "veth0", right);
}

#[test]
fn also_on_a_loopback_interface() {
    require_root!();
    let host = Namespace::new();
    expect_shared(&host, &host, "lo", [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
}

#[test]
fn groups_have_numbers_of_their_own_and_do_not_take_from_each_other() {
    require_root!();
    let host = Namespace::new();
    let mut rings = [(); 3].map(|()| open(&host, "lo", "tcp", Some(Fanout::New)).expect("the ring opens"));
    let groups: BTreeSet<u16> = rings.iter().filter_map(|ring| ring.fanout_group()).collect();
    assert_eq!(groups.len(), 3);
    knock(&host, Ipv4Addr::LOCALHOST.into(), 9);
    for ring in &mut rings {
        let captured = crate::support::captured::read_until(ring, |captured| captured.len() >= 2);
        assert_eq!(captured.len(), 2);
    }
}

#[test]
fn a_group_is_for_one_interface() {
    require_root!();
    let pair = Pair::new();
    let first = open(&pair.left, "veth0", "tcp", Some(Fanout::New)).expect("the ring opens");
    let group = first.fanout_group().expect("it has one");
    let error = open(&pair.left, "lo", "tcp", Some(Fanout::Join(group))).expect_err("it is for veth0").to_string();
    assert!(error.contains("same interface"), "{error}");
}
