//! What is kept, what is forgotten, and that nothing is counted twice.

use proptest::prelude::*;

use super::*;
use crate::packet::Link;

const SECOND: u64 = 1_000_000_000;
const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 17;
const RST: u8 = 4;

/// A frame from a port of one host to port 80 of another, or back.
fn bytes(port: u16, is_back: bool, seq: u32, ack: u32, flags: u8, payload: u8) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40 + payload, 0, 0, 0x40, 0, 64, 6, 0, 0];
    let (ends, ports) = ([[10, 0, 0, 1], [10, 0, 0, 2]], [port, 80]);
    let order = if is_back { [1, 0] } else { [0, 1] };
    order.iter().for_each(|&i| bytes.extend(ends[i]));
    order.iter().for_each(|&i| bytes.extend(ports[i].to_be_bytes()));
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    bytes.resize(bytes.len() + usize::from(payload), 0);
    bytes
}

fn pass(table: &mut Table, time: u64, bytes: &[u8]) -> Option<u32> {
    let wire_len = bytes.len() as u32;
    table.frame(&Frame { link: Link::Raw, time, bytes, wire_len, gso_size: None, interface: 0 }, |_| {})
}

/// One whose connections are forgotten a minute after their last packet, and ten seconds after their end.
fn table(connections: usize) -> Table {
    let [stream_age, finalized_age] = [60, 10].map(Duration::from_secs);
    let mut table = Table::new(Limits { connections, stream_age, finalized_age });
    assert!(table.expire(1000 * SECOND, 1, |_| {}));
    table
}

fn forgotten(table: &mut Table, second: u64) -> usize {
    let mut count = 0;
    while !table.expire(second * SECOND, 7, |_| count += 1) {}
    count
}

#[test]
fn connections_are_forgotten_when_their_time_is_over() {
    let mut table = table(100);
    let at = |second: u64| second * SECOND;
    pass(&mut table, at(1000), &bytes(1, false, 5, 9, ACK, 3)); // goes on
    pass(&mut table, at(1000), &bytes(2, false, 5, 9, RST, 0));
    pass(&mut table, at(1000), &bytes(3, false, 5, 9, SYN, 0)); // never answered
    pass(&mut table, at(1000), &bytes(4, false, 5, 9, FIN, 0)); // half closed
    pass(&mut table, at(1000), &bytes(5, false, 5, 9, FIN, 0));
    pass(&mut table, at(1000), &bytes(5, true, 9, 6, FIN, 0));
    pass(&mut table, at(1000), &bytes(5, false, 6, 10, ACK, 0));
    assert_eq!((table.len(), forgotten(&mut table, 1009)), (5, 0));
    pass(&mut table, at(1010), &bytes(2, false, 5, 9, RST, 0));
    assert_eq!(forgotten(&mut table, 1012), 2, "the one without an answer, and the one that both have closed");
    assert_eq!(forgotten(&mut table, 1022), 1, "the reset one, which was heard of again");
    pass(&mut table, at(1055), &bytes(1, true, 9, 8, ACK, 3));
    assert_eq!(forgotten(&mut table, 1072), 1, "the half closed one");
    assert_eq!(forgotten(&mut table, 1114), 0);
    assert_eq!(forgotten(&mut table, 1126), 1);
    assert!(table.is_empty());
    let (totals, streams) = table.retired();
    assert_eq!((streams, totals.packets, totals.bytes, totals.fins, totals.resets), (7, 9, 6, 3, 2));
}

#[test]
fn beyond_the_limit_packets_are_counted_and_places_are_used_again() {
    let mut table = table(10);
    (0..15).for_each(|port| {
        let number = pass(&mut table, 1000 * SECOND, &bytes(port, false, 1, 1, ACK, 0));
        assert_eq!(number.is_some(), port < 10);
    });
    assert_eq!((table.len(), table.counts.untracked, table.counts.frames), (10, 5, 15));
    assert_eq!(forgotten(&mut table, 1062), 10);
    (20..30).for_each(|port| assert!(pass(&mut table, 1063 * SECOND, &bytes(port, true, 1, 1, ACK, 1)).is_some()));
    assert_eq!((table.len(), table.end(), table.retired().1), (10, 10, 10));
}

/// A flood of SYNs must not keep out connections.
#[test]
fn who_is_not_established_makes_room() {
    let mut table = table(10);
    let time = 1000 * SECOND;
    (0..8).for_each(|port| assert!(pass(&mut table, time, &bytes(port, false, 1, 0, SYN, 0)).is_some()));
    (8..10).for_each(|port| assert!(pass(&mut table, time, &bytes(port, false, 1, 1, ACK, 1)).is_some()));
    // Answered, they are no more established.
    (0..8).for_each(|port| assert!(pass(&mut table, time, &bytes(port, true, 9, 2, SYN | ACK, 0)).is_some()));
    (100..108).for_each(|port| assert!(pass(&mut table, time, &bytes(port, false, 1, 1, ACK, 1)).is_some()));
    assert!(pass(&mut table, time, &bytes(200, false, 1, 1, ACK, 1)).is_none(), "all are established");
    assert!(pass(&mut table, time, &bytes(0, false, 1, 0, SYN, 0)).is_none());
    assert_eq!((table.len(), table.counts.evicted, table.counts.untracked, table.retired().1), (10, 8, 2, 16));
    (100..108).for_each(|port| assert!(pass(&mut table, time + SECOND, &bytes(port, false, 2, 1, ACK, 1)).is_some()));
    assert_eq!(forgotten(&mut table, 1062), 10, "each has one place in the wheel");
    assert!(table.is_empty());
}

/// Nor a flood to a port that nobody listens on, nor connections that have ended.
#[test]
fn who_has_ended_makes_room() {
    let mut table = table(10);
    let time = 1000 * SECOND;
    for port in 0..5 {
        pass(&mut table, time, &bytes(port, false, 1, 0, SYN, 0));
        pass(&mut table, time, &bytes(port, true, 0, 2, RST | ACK, 0));
    }
    for port in 5..10 {
        pass(&mut table, time, &bytes(port, false, 5, 9, FIN, 1));
        pass(&mut table, time, &bytes(port, true, 9, 7, FIN, 0));
        pass(&mut table, time, &bytes(port, false, 7, 10, ACK, 0));
    }
    (100..110).for_each(|port| assert!(pass(&mut table, time, &bytes(port, false, 1, 1, ACK, 1)).is_some()));
    assert_eq!((table.counts.evicted, table.counts.untracked, table.retired().1), (10, 0, 20));
}

#[test]
fn a_syn_that_is_answered_begins_another_connection() {
    let mut table = table(10);
    let time = |later: u64| 1000 * SECOND + later;
    pass(&mut table, time(0), &bytes(7, false, 100, 900, ACK, 9));
    pass(&mut table, time(1), &bytes(7, true, 900, 109, ACK, 0));
    pass(&mut table, time(2), &bytes(7, false, 5000, 0, SYN, 0));
    assert_eq!((table.retired().1, table.get(0).expect("it is there").began()), (0, time(0)));
    pass(&mut table, time(3), &bytes(7, true, 70, 5001, SYN | ACK, 0));
    let connection = table.get(0).expect("it is there");
    assert_eq!((table.retired().1, table.retired().0.packets, connection.began()), (2, 2, time(2)));
    assert_eq!([0, 1].map(|stream| connection.counters(stream).syns), [1, 1]);
}

#[test]
fn ports_that_are_used_again_are_another_connection() {
    let mut table = table(10);
    let mut retired = Vec::new();
    for (bytes, expected) in [
        (bytes(7, false, 100, 0, SYN, 0), 0),
        (bytes(7, false, 100, 0, SYN, 0), 0), // the same one again
        (bytes(7, true, 300, 101, SYN | ACK, 0), 0),
        (bytes(7, false, 101, 301, ACK, 9), 0),
        (bytes(7, false, 5000, 0, SYN, 0), 0), // of another one, if it is answered
        (bytes(7, true, 6000, 5001, SYN | ACK, 0), 1),
    ] {
        let wire_len = bytes.len() as u32;
        let frame =
            Frame { link: Link::Raw, time: 1000 * SECOND, bytes: &bytes, wire_len, gso_size: None, interface: 0 };
        assert_eq!(table.frame(&frame, |connection| retired.extend(connection.reports(0))), Some(0));
        assert_eq!(retired.len(), 2 * expected);
    }
    assert_eq!((retired[0].counters.packets, retired[0].counters.retransmits, retired[1].counters.packets), (3, 1, 1));
    assert_eq!((table.len(), table.retired().1, table.retired().0.packets), (1, 2, 4));
    let now: Vec<_> = table.get(0).expect("it is there").reports(0).map(|report| report.counters.packets).collect();
    assert_eq!(now, [1, 1]);
}

#[test]
fn both_ends_may_begin_at_once() {
    let mut table = table(10);
    pass(&mut table, 1000 * SECOND, &bytes(7, false, 100, 0, SYN, 0));
    pass(&mut table, 1000 * SECOND, &bytes(7, true, 300, 0, SYN, 0));
    assert_eq!((table.len(), table.retired().1), (1, 0));
}

#[test]
fn a_datagram_of_which_parts_are_missing_is_given_up_without_another_packet() {
    let mut table = table(100);
    let mut fragment = bytes(1, false, 5, 9, ACK, 4);
    fragment[6] = 0x20;
    pass(&mut table, 1000 * SECOND, &fragment);
    let given_up = [1029, 1030, 1031].map(|second| {
        assert_eq!(forgotten(&mut table, second), 0);
        table.counts.datagrams_given_up
    });
    assert_eq!((given_up, table.counts.fragments), ([0, 1, 1], 1));
}

proptest! {
    /// What is kept and what is forgotten are together what has passed, whatever passes and whenever it is forgotten.
    #[test]
    fn nothing_is_lost_or_counted_twice(
        packets in prop::collection::vec(
            (0u16..8, any::<bool>(), 0u32..4, 0u32..4, prop::sample::select(vec![SYN, SYN | ACK, ACK, FIN, RST]), 0u8..3, 0u64..20),
            0..300,
        ),
    ) {
        let mut table = table(6);
        let (mut second, mut payload) = (1000, 0);
        for (port, is_back, seq, ack, flags, len, later) in packets {
            second += later;
            table.expire(second * SECOND, 3, |_| {});
            let is_tracked = pass(&mut table, second * SECOND, &bytes(port, is_back, seq, ack, flags, len)).is_some();
            payload += if is_tracked { u64::from(len) } else { 0 };
        }
        let mut totals = *table.retired().0;
        (0..table.end() as u32).filter_map(|number| table.get(number)).for_each(|it| it.add_to(&mut totals));
        prop_assert_eq!(totals.packets + table.counts.untracked, table.counts.frames);
        prop_assert_eq!(totals.bytes, payload);
        prop_assert!(table.len() <= 6);
        forgotten(&mut table, second + 200);
        prop_assert!(table.is_empty());
        prop_assert_eq!(*table.retired().0, totals);
    }
}
