//! Packets that are not of the connection whose ends they have, or not its own any more.

use super::*;

const RESET: Flags = Flags::RST;

/// Lets a packet pass as the table does; says whether it counted.
fn meets(wire: &mut Wire, segment: Segment) -> bool {
    let (_, stream) = Key::of(&segment.flow);
    let is_copy = wire.connection.is_copy(stream, &segment);
    if !is_copy {
        wire.pass(1, segment);
    }
    !is_copy
}

#[test]
fn what_passes_a_second_interface_is_seen_once() {
    let on = |interface, segment| Segment { interface, ..segment };
    let mut wire = Wire::open([None; 2], 0, 0);
    let (data, ack) = (packet(1, 100, 1), back(packet(1, 0, 101)));
    let fin = Segment { flags: Flags::FIN.with(Flags::ACK), ..packet(101, 0, 1) };
    for segment in [packet(1, 0, 1), data, ack, packet(1, 100, 1), fin] {
        assert!(meets(&mut wire, on(1, segment)));
        assert!(!meets(&mut wire, on(2, segment)), "{segment:?}");
    }
    let client = wire.client();
    assert_eq!((client.retransmits, client.bytes, client.fins, wire.server().duplicate_acks), (1, 200, 1, 0));
}

#[test]
fn a_path_that_changes_is_followed() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 101))]);
    let other = |segment| Segment { interface: 7, ..segment };
    assert!(meets(&mut wire, other(packet(101, 100, 1))));
    assert!(meets(&mut wire, other(packet(101, 100, 1))), "sent again, on the new path");
    assert!(!meets(&mut wire, packet(101, 100, 1)), "the old one");
    assert!(meets(&mut wire, other(back(packet(1, 0, 201)))));
    assert!(
        meets(&mut wire, other(Segment { flags: RESET, ..packet(150, 0, 1) })),
        "even if it is not behind all else"
    );
    assert_eq!((wire.client().packets, wire.client().retransmits), (2 + 4, 1));
}

#[test]
fn a_reset_ends_what_takes_it() {
    let is_reset = |reset: Segment| {
        let mut wire = Wire::open([Some(3); 2], 0, 0);
        wire.passes([packet(1, 100, 1), packet(101, 100, 1), back(packet(1, 0, 101))]);
        wire.pass(1, Segment { flags: RESET, ..reset });
        let [client, server] = [wire.client(), wire.server()];
        assert_eq!(client.resets + server.resets + server.strays, 1);
        wire.connection.is_reset()
    };
    assert!(is_reset(packet(201, 0, 0)), "behind all that was sent");
    assert!(is_reset(packet(101, 0, 0)), "what the other side expects");
    assert!(is_reset(packet(101 + 8000, 0, 0)), "the end of the window");
    assert!(is_reset(back(packet(1, 0, 0))));
    assert!(!is_reset(packet(100, 0, 0)));
    assert!(!is_reset(packet(101 + 8001, 0, 0)));
    assert!(!is_reset(back(packet(0x7000_0000, 0, 0))));
}

#[test]
fn a_reset_that_nobody_has_taken_ends_nothing() {
    let mut wire = Wire::open([None; 2], 0, 0);
    wire.passes([packet(1, 100, 1), Segment { flags: RESET, ..packet(301, 0, 0) }]);
    assert!(wire.connection.is_reset());
    wire.passes([packet(101, 100, 1), back(packet(1, 50, 101))]);
    assert!(wire.connection.is_reset(), "both were under way");
    wire.pass(1, packet(201, 200, 1));
    assert!(!wire.connection.is_reset());
    assert_eq!(wire.reports().map(|report| report.state), [State::Active; 2]);
    wire.passes([back(packet(51, 0, 401)), back(Segment { flags: RESET, ..packet(51, 0, 0) })]);
    assert!(wire.connection.is_reset());
    // An ACK of something new is a sign of life, too, also below the reset, if it comes much later.
    wire.passes([packet(401, 10, 51), back(packet(51, 0, 411))]);
    assert!(!wire.connection.is_reset());
    wire.passes([back(Segment { flags: RESET, ..packet(551, 0, 0) }), packet(411, 10, 51), back(packet(51, 0, 421))]);
    assert!(wire.connection.is_reset(), "it was under way");
    wire.pass(200, packet(421, 10, 51));
    wire.pass(1, back(packet(51, 0, 431)));
    assert!(!wire.connection.is_reset());
}

/// Anybody may send a SYN; the kernel answers one within a connection by an ACK that tells its sender off (RFC 5961, 4).
#[test]
fn a_syn_within_a_connection_is_none_of_it_until_it_is_answered() {
    let mut wire = Wire::open([Some(7); 2], 0, 0);
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 101))]);
    let syn = Segment { flags: Flags::SYN, ..packet(0x5000_0000, 0, 0) };
    assert_eq!(wire.connection.belonging_of(0, &syn), Belongs::PerhapsToAnother);
    wire.connection.put_by(0, &syn);
    wire.passes([back(packet(1, 0, 101)), packet(101, 100, 1), back(packet(1, 0, 201))]);
    let client = wire.client();
    assert_eq!((client.packets, client.strays, client.gaps, client.syns, client.bytes), (5, 1, 0, 1, 200));
    // It was real after all.
    let syn_ack = |ack| back(Segment { flags: Flags::SYN.with(Flags::ACK), ..packet(70, 0, ack) });
    assert_eq!(wire.connection.belonging_of(1, &syn_ack(5)), Belongs::Here);
    assert_eq!(wire.connection.belonging_of(1, &syn_ack(0x5000_0001)), Belongs::ToAnother);
    assert_eq!(wire.connection.take_syn().map(|(stream, syn)| (stream, syn.seq)), Some((0, 0x5000_0000)));
    assert_eq!((wire.client().packets, wire.client().strays), (4, 0), "the totals have each packet once");
}

#[test]
fn an_ack_of_what_cannot_have_been_sent_changes_nothing() {
    let mut wire = Wire::open([Some(7); 2], 0, 0);
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 51)), back(packet(1, 0, 0x4000_0000)), back(packet(1, 0, 101))]);
    let [client, server] = wire.reports();
    assert_eq!((client.delay_samples, server.counters.unseen_acked), (2, 0));
}

/// RFC 9293, 3.5.1: one side has lost the connection, and opens it again.
#[test]
fn a_syn_after_a_reset_begins_again() {
    let mut wire = Wire::new();
    let syn = Segment { flags: Flags::SYN, ..packet(900, 0, 0) };
    wire.passes([syn, back(packet(70, 0, 5000)), Segment { flags: RESET, ..packet(5000, 0, 0) }]);
    assert!(wire.connection.is_reset());
    let (_, stream) = Key::of(&syn.flow);
    assert_eq!(wire.connection.belonging_of(stream, &syn), Belongs::ToAnother, "the same SYN");
    wire.connection.begin_again(wire.time);
    wire.pass(1000, syn);
    wire.pass(6, back(Segment { flags: Flags::SYN.with(Flags::ACK), ..packet(10, 0, 901) }));
    wire.passes([packet(901, 100, 11), back(packet(11, 0, 1001))]);
    let [client, server] = wire.reports();
    assert_eq!((client.state, server.state, client.delay_samples), (State::Active, State::Active, 2));
    assert_eq!((client.counters.packets, server.counters.unseen_acked), (2, 0));
}

#[test]
fn ports_used_again_are_seen_from_one_side_alone() {
    let mut wire = Wire::new();
    let syn_ack = |seq| back(Segment { flags: Flags::SYN.with(Flags::ACK), ..packet(seq, 0, 9) });
    wire.passes([syn_ack(5), back(packet(6, 100, 9))]);
    let (_, stream) = Key::of(&syn_ack(5).flow);
    assert_eq!(wire.connection.belonging_of(stream, &syn_ack(5)), Belongs::Here, "sent again");
    assert_eq!(wire.connection.belonging_of(stream, &syn_ack(77)), Belongs::ToAnother);
    wire.pass(1, packet(9, 0, 106));
    assert_eq!(wire.connection.belonging_of(stream, &syn_ack(77)), Belongs::Here, "the SYN would have been seen");
}

#[test]
fn a_sequence_number_from_nowhere_changes_nothing_else() {
    let far = 0x4000_0000;
    let mut wire = Wire::open([Some(7); 2], 0, 0);
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 101))]);
    wire.passes([
        packet(far, 100, 0x3333),
        packet(0x9000_0000, 0, 1),
        Segment { flags: Flags::FIN.with(Flags::ACK), ..packet(far / 2, 0, 1) },
        packet(101, 100, 1),
        back(packet(1, 0, 201)),
    ]);
    let client = wire.client();
    assert_eq!((client.strays, client.gaps, client.retransmits, client.fins, client.packets), (3, 0, 0, 0, 7));
    assert_eq!((wire.reports()[0].delay_samples, wire.server().unseen_acked), (3, 0));
    // If the next one is there, too, the capture has missed what is between.
    wire.passes([
        packet(far, 100, 1),
        packet(far + 100, 100, 1),
        packet(far + 300, 100, 1),
        back(packet(1, 0, far + 200)),
    ]);
    let client = wire.client();
    assert_eq!((client.strays, client.gaps, client.gap_bytes, client.retransmits), (4, 1, 100, 0));
}

#[test]
fn what_is_within_twice_the_window_is_near() {
    let strays = |scales, seq| {
        let mut wire = Wire::open(scales, 0, 0);
        wire.passes([packet(1, 100, 1), back(packet(1, 0, 101)), packet(seq, 100, 1)]);
        wire.client().strays
    };
    // A window of 1000, scaled by 14, is 16,384,000.
    let reach = 101 + 2 * 16_384_000;
    assert_eq!([reach, reach + 1].map(|seq| strays([Some(14); 2], seq)), [0, 1]);
    assert_eq!([101 + (1 << 20), 102 + (1 << 20)].map(|seq| strays([None; 2], seq)), [0, 1]);
    // Not known how it is scaled: anything may be within it.
    let mut wire = Wire::new();
    wire.passes([packet(1, 100, 1), back(packet(1, 0, 101)), packet(0x4000_0000, 100, 1)]);
    assert_eq!((wire.client().strays, wire.client().gaps), (0, 1));
}
