//! Connections made packet by packet.

mod belonging;

use super::*;
use crate::packet::{Ecn, Endpoint, Flags, Flow, SackBlocks, Segment};

const CLIENT: Endpoint = Endpoint { address: [1; 16], port: 40_000 };
const SERVER: Endpoint = Endpoint { address: [2; 16], port: 443 };
const MILLISECOND: u64 = 1_000_000;

/// A connection, and what passes of it.
struct Wire {
    connection: Connection,
    time: u64,
}

/// A packet to the server; made one of the other direction by [`back`].
fn packet(seq: u32, payload: u32, ack: u32) -> Segment {
    Segment {
        time: 0,
        flow: Flow { source: CLIENT, destination: SERVER },
        seq,
        ack,
        flags: Flags::ACK,
        window: 1000,
        payload,
        gso_size: None,
        interface: 1,
        ecn: Ecn::NotEct,
        mss: None,
        window_scale: None,
        timestamps: None,
        sack: SackBlocks::default(),
    }
}

fn back(segment: Segment) -> Segment {
    Segment { flow: Flow { source: SERVER, destination: CLIENT }, ..segment }
}

impl Wire {
    fn new() -> Self {
        let flow = Flow { source: CLIENT, destination: SERVER };
        Self { connection: Connection::new(Key::of(&flow).0, 1_000_000 * MILLISECOND), time: 1_000_000 * MILLISECOND }
    }

    /// After a handshake with these windows scales, in which each side begins with that sequence number. A round trip takes
    /// 8 ms: 6 from here to the server, 2 to the client.
    fn open(scales: [Option<u8>; 2], client: u32, server: u32) -> Self {
        let mut wire = Self::new();
        let syn = |scale| Segment { flags: Flags::SYN, mss: Some(1460), window_scale: scale, ..packet(client, 0, 0) };
        wire.pass(0, syn(scales[0]));
        let syn_ack =
            Segment { flags: Flags::SYN.with(Flags::ACK), seq: server, ack: client.wrapping_add(1), ..syn(scales[1]) };
        wire.pass(6, back(syn_ack));
        wire.pass(2, packet(client.wrapping_add(1), 0, server.wrapping_add(1)));
        wire
    }

    /// Lets a packet pass so many milliseconds later.
    fn pass(&mut self, later: u64, segment: Segment) {
        self.time += later * MILLISECOND;
        let (_, stream) = Key::of(&segment.flow);
        self.connection.take(stream, &Segment { time: self.time, ..segment });
    }

    fn passes(&mut self, segments: impl IntoIterator<Item = Segment>) {
        segments.into_iter().for_each(|segment| self.pass(1, segment));
    }

    /// The streams of the client and of the server, now.
    fn reports(&self) -> [Report; 2] {
        [0, 1].map(|stream| self.connection.report(stream, self.time))
    }

    fn client(&self) -> Counters {
        self.reports()[0].counters
    }

    fn server(&self) -> Counters {
        self.reports()[1].counters
    }
}

#[test]
fn a_connection_over_the_wrap_around_is_like_any_other() {
    let run = |client: u32| {
        let mut wire = Wire::open([Some(7); 2], client, 5);
        let at = |offset: u32| client.wrapping_add(offset);
        wire.passes([
            packet(at(1), 1000, 6),
            packet(at(1001), 1000, 6),
            back(packet(6, 0, at(2001))),
            packet(at(3001), 1000, 6), // a gap
            back(packet(6, 0, at(2001))),
            packet(at(2001), 1000, 6), // at once: late
            back(packet(6, 0, at(4001))),
            packet(at(1), 1000, 6), // in vain
        ]);
        wire.pass(1, Segment { flags: Flags::FIN.with(Flags::ACK), ..packet(at(4001), 0, 6) });
        wire.pass(1, back(Segment { flags: Flags::FIN.with(Flags::ACK), ..packet(6, 0, at(4002)) }));
        assert!(!wire.connection.has_ended());
        wire.pass(1, packet(at(4002), 0, 7));
        assert!(wire.connection.has_ended() && !wire.connection.is_reset());
        wire.reports()
    };
    let [client, server] = run(1000);
    let expected = Counters {
        packets: 9,
        bytes: 5000,
        retransmits: 1,
        retransmitted_bytes: 1000,
        spurious_retransmits: 1,
        out_of_order: 1,
        ahead_of_gap: 1,
        gaps: 1,
        gap_bytes: 1000,
        syns: 1,
        fins: 1,
        ..Counters::default()
    };
    assert_eq!(client.counters, expected);
    assert_eq!(server.counters.duplicate_acks, 1);
    assert_eq!((client.state, server.state), (State::Finalized, State::Finalized));
    assert_eq!((client.window, client.window_scale), (Some(128_000), Some(7)));
    for start in [u32::MAX - 2, u32::MAX - 1000, u32::MAX - 2500, u32::MAX - 3999, u32::MAX - 4001] {
        assert_eq!(run(start), [client.clone(), server.clone()], "from {start}");
    }
}

#[test]
fn windows_scale_only_if_both_sides_offer_it_and_it_was_seen() {
    let window = |scales| Wire::open(scales, 1, 1).reports()[0].window;
    assert_eq!(
        [[Some(3), Some(9)], [Some(3), None], [None, Some(9)]].map(window),
        [Some(8000), Some(1000), Some(1000)]
    );
    let mut wire = Wire::new();
    wire.pass(0, packet(1, 10, 1));
    let [client, server] = wire.reports();
    assert_eq!((client.window, client.window_scale, server.window), (None, None, None));
}

#[test]
fn a_packet_that_fills_a_hole_late_is_a_retransmission() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.passes([packet(1, 100, 1), packet(201, 100, 1)]);
    wire.pass(8, packet(101, 100, 1)); // a round trip later
    let client = wire.client();
    assert_eq!((client.retransmits, client.out_of_order, client.spurious_retransmits), (1, 0, 0));
}

#[test]
fn timestamps_tell_a_late_packet_from_a_retransmission() {
    let stamped = |seq, tsval| Segment { timestamps: Some((tsval, 0)), ..packet(seq, 100, 1) };
    for (tsval, late_ms, expected) in [(99, 50, (0, 1)), (101, 1, (1, 0)), (100, 1, (0, 1)), (100, 50, (1, 0))] {
        let mut wire = Wire::open([None; 2], 0, 0);
        wire.passes([stamped(1, 98), stamped(201, 100)]);
        wire.pass(late_ms, stamped(101, tsval));
        assert_eq!((wire.client().retransmits, wire.client().out_of_order), expected, "{tsval}, {late_ms} ms");
    }
}

#[test]
fn a_retransmission_with_new_data_is_counted_for_what_is_old() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.passes([packet(1, 1000, 1), packet(1, 2000, 1), packet(2001, 500, 1)]);
    let client = wire.client();
    assert_eq!((client.retransmits, client.retransmitted_bytes, client.gaps, client.bytes), (1, 1000, 0, 3500));
}

#[test]
fn a_duplicate_ack_is_one_by_all_five_conditions() {
    let count = |before: Segment, ack: Segment| {
        let mut wire = Wire::open([None; 2], 0, 0);
        wire.passes([packet(1, 100, 1), back(before), back(ack)]);
        wire.server().duplicate_acks
    };
    let first = packet(1, 0, 1);
    assert_eq!(count(first, first), 2, "the handshake had the same window");
    assert_eq!(count(packet(1, 0, 101), packet(1, 0, 101)), 0, "nothing is outstanding");
    assert_eq!(count(first, Segment { window: 999, ..first }), 1, "another window");
    assert_eq!(count(first, packet(1, 5, 1)), 1, "it has data");
    assert_eq!(count(first, Segment { flags: Flags::FIN.with(Flags::ACK), ..first }), 1, "it has FIN");
    assert_eq!(count(first, packet(1, 0, 0)), 1, "an older ACK");
}

#[test]
fn keep_alives_and_probes_are_no_retransmissions() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 101)), packet(100, 0, 1), packet(100, 1, 1)]);
    let client = wire.client();
    assert_eq!((client.keep_alives, client.zero_window_probes, client.retransmits), (2, 0, 0));
    // Not acknowledged yet, the same byte is one that was lost.
    let mut lossy = Wire::open([None; 2], 0, 0);
    lossy.passes([packet(1, 1, 1), packet(1, 1, 1), packet(2, 1, 1), back(packet(1, 0, 2)), packet(2, 1, 1)]);
    let client = lossy.client();
    assert_eq!((client.keep_alives, client.retransmits, client.retransmitted_bytes), (0, 2, 2));
    wire.passes([
        back(Segment { window: 0, ..packet(1, 0, 101) }),
        packet(100, 0, 1),
        packet(101, 1, 1),
        packet(101, 1, 1),
    ]);
    let client = wire.client();
    assert_eq!((client.keep_alives, client.zero_window_probes, client.retransmits), (2, 3, 0));
    // The byte of the probe is sent again with what follows it.
    wire.passes([back(packet(1, 0, 101)), packet(101, 1000, 1)]);
    assert_eq!((wire.client().retransmits, wire.client().gaps), (0, 0));
    let [_, server] = wire.reports();
    assert_eq!((server.counters.zero_window_events, server.zero_window_time.as_millis()), (1, 4));
}

#[test]
fn a_packet_of_several_segments_counts_as_many() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.pass(1, packet(1, 14_600, 1)); // ten of the agreed size
    wire.pass(1, Segment { gso_size: Some(1000), ..packet(14_601, 65_000, 1) });
    wire.pass(1, Segment { gso_size: Some(1000), ..packet(14_601, 3000, 1) });
    let client = wire.client();
    assert_eq!((client.packets, client.retransmits, client.bytes), (2 + 10 + 65 + 3, 3, 82_600));
    // By the agreed size also if that is small.
    let mut wire = Wire::new();
    let syn = Segment { flags: Flags::SYN, mss: Some(536), ..packet(0, 0, 0) };
    wire.passes([syn, back(Segment { flags: Flags::SYN.with(Flags::ACK), ..syn })]);
    wire.passes([
        packet(1, 1072, 1),
        packet(1073, 536, 1),
        Segment { timestamps: Some((1, 1)), ..packet(1609, 536, 1) },
    ]);
    assert_eq!(wire.client().packets, 1 + 2 + 1 + 2);
    // Of a connection that was open before: by the usual size.
    let mut wire = Wire::new();
    wire.pass(0, packet(1, 1448 * 4, 1));
    wire.pass(0, Segment { gso_size: Some(0), ..packet(1 + 1448 * 4, 1448 * 2 + 1, 1) });
    assert_eq!(wire.client().packets, 4 + 3);
}

#[test]
fn absurd_lengths_are_counted_as_far_as_there_is_room() {
    let mut wire = Wire::open([None; 2], 0, 0);
    let mut huge = Segment { gso_size: Some(1), ecn: Ecn::Ce, ..packet(1, u32::MAX, 1) };
    for seq in [1, 1, 1, 5] {
        huge.seq = seq;
        wire.passes([huge]);
    }
    let client = wire.client();
    assert_eq!(
        (client.ce, client.bytes, client.packets),
        (u32::MAX, 4 * u64::from(u32::MAX), 2 + 4 * u64::from(u32::MAX))
    );
}

#[test]
fn delay_is_from_data_to_the_ack_in_the_other_direction() {
    let mut wire = Wire::open([None; 2], 0, 0);
    // Two-way traffic, in which the numbers of both sides mean nothing to each other.
    wire.pass(1, packet(1, 100, 1));
    wire.pass(1, back(packet(1, 100, 1)));
    wire.pass(3, packet(101, 0, 101));
    wire.pass(7, back(packet(101, 0, 101)));
    let [client, server] = wire.reports();
    let (to_server, to_client) = (client.delay.expect("two samples"), server.delay.expect("two samples"));
    assert_eq!((client.delay_samples, to_server.min, to_server.max), (2, 6_000, 11_000));
    assert_eq!((server.delay_samples, to_client.min, to_client.max, to_client.avg), (2, 2_000, 3_000, 2_500.0));
    assert_eq!(to_server.jitter, 5_000.0 / 16.0);
}

#[test]
fn an_ack_of_what_was_never_seen_is_counted_once() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 501)), back(packet(1, 0, 501)), packet(501, 100, 1)]);
    assert_eq!((wire.server().unseen_acked, wire.client().gaps, wire.client().gap_bytes), (1, 1, 400));
    // What was acknowledged is not taken for lost, should it come after all.
    wire.passes([back(packet(1, 0, 601)), packet(101, 400, 1)]);
    assert_eq!((wire.client().retransmits, wire.client().spurious_retransmits), (1, 1));
}

#[test]
fn flags_and_marks_are_counted() {
    let mut wire = Wire::open([None; 2], 0, 0);
    let mut sack = packet(1, 0, 1);
    sack.sack = SackBlocks { blocks: [(0, 1), (500, 600), (0, 0), (0, 0)], len: 2 };
    let within = SackBlocks { blocks: [(520, 540), (500, 600), (0, 0), (0, 0)], len: 2 };
    let plain = SackBlocks { blocks: [(700, 800), (500, 600), (0, 0), (0, 0)], len: 2 };
    wire.passes([
        Segment { ecn: Ecn::Ect, ..packet(1, 100, 1) },
        Segment { ecn: Ecn::Ce, flags: Flags::ACK.with(Flags::CWR), ..packet(101, 100, 1) },
        back(Segment { flags: Flags::ACK.with(Flags::ECE), ..sack }),
        back(Segment { sack: within, ..sack }),
        back(Segment { sack: plain, ..sack }),
        back(Segment { flags: Flags::RST, window: 0, ..packet(1, 0, 0) }),
    ]);
    let (client, server) = (wire.client(), wire.server());
    assert_eq!((client.ect, client.ce, client.cwr, server.ece), (2, 1, 1, 1));
    assert_eq!((server.sacks, server.dsacks, server.resets, server.zero_window_events), (6, 2, 1, 0));
    let [client, server] = wire.reports();
    assert_eq!((client.state, server.state), (State::Reset, State::Reset));
    assert_eq!(client.uptime.as_millis(), 14, "until the reset");
}

#[test]
fn health_is_perfect_until_something_is_wrong() {
    let mut wire = Wire::open([None; 2], 0, 0);
    (0..98).for_each(|i| wire.pass(1, packet(1 + i * 10, 10, 1)));
    assert_eq!(wire.reports()[0].health_score, 100.0);
    wire.passes((0..5).map(|i| packet(1 + i * 10, 10, 1)));
    let health = wire.reports()[0].health_score;
    assert!((60.0..62.5).contains(&health), "5 of 105 cost nearly all of 40 points: {health}");
    wire.pass(1, Segment { flags: Flags::RST, ..packet(981, 0, 0) });
    assert!((wire.reports()[0].health_score - (health - 10.0)).abs() < 1.0);
}
