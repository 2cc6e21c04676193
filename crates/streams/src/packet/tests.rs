//! Frames of all kinds, made byte by byte.

use proptest::prelude::*;

use super::*;

const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];

/// A TCP segment with these options and so much payload.
fn tcp(options: &[u8], payload: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [40_000u16, 443] {
        bytes.extend(number.to_be_bytes());
    }
    for number in [0xffff_fff0u32, 77] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend([(((20 + options.len()) / 4) << 4) as u8, 0x10, 0x12, 0x34, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes.resize(bytes.len() + payload, 0);
    bytes
}

fn ipv4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0x03];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 9, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7]);
    bytes.extend(payload);
    bytes
}

/// Behind extension headers, the first of which is of the kind `next`.
fn ipv6(next: u8, extensions: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0x20, 0, 0];
    bytes.extend(((extensions.len() + payload.len()) as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    bytes.extend(extensions);
    bytes.extend(payload);
    bytes
}

fn ethernet(tags: &[u8], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    bytes.extend(tags);
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn frame(link: Link, bytes: &[u8]) -> Frame<'_> {
    Frame { link, time: 5, bytes, wire_len: bytes.len() as u32, gso_size: None, interface: 3 }
}

fn segment(link: Link, bytes: &[u8]) -> Segment {
    match parse(&frame(link, bytes)) {
        Ok(Packet::Segment(segment)) => segment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_segment_has_what_its_headers_say() {
    let segment = segment(Link::Ethernet, &ethernet(&[], 0x0800, &ipv4(&tcp(&TIMESTAMPS, 100))));
    assert_eq!(segment.flow.source.socket_addr().to_string(), "192.0.2.1:40000");
    assert_eq!(segment.flow.destination.socket_addr().to_string(), "198.51.100.7:443");
    assert_eq!((segment.seq, segment.ack, segment.window, segment.payload), (0xffff_fff0, 77, 0x1234, 100));
    assert_eq!((segment.ecn, segment.timestamps, segment.time), (Ecn::Ce, Some((7, 9)), 5));
    assert!(segment.flags.any(Flags::ACK) && !segment.flags.any(Flags::SYN.with(Flags::FIN)));
}

#[test]
fn every_link_layer_leads_to_the_same_segment() {
    let (four, six) = (ipv4(&tcp(&[], 9)), ipv6(6, &[], &tcp(&[], 9)));
    let expected = [segment(Link::Raw, &four), segment(Link::Raw, &six)];
    let prefixed = |prefix: &[u8], datagram: &[u8]| [prefix, datagram].concat();
    let vlan = [0x81, 0, 0, 5];
    let qinq = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6];
    let cases = [
        (Link::Ethernet, ethernet(&[], 0x0800, &four), ethernet(&[], 0x86dd, &six)),
        (Link::Ethernet, ethernet(&vlan, 0x0800, &four), ethernet(&vlan, 0x86dd, &six)),
        (Link::Ethernet, ethernet(&qinq, 0x0800, &four), ethernet(&qinq, 0x86dd, &six)),
        (
            Link::LinuxSll,
            prefixed(&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0], &four),
            prefixed(&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x86, 0xdd], &six),
        ),
        (
            Link::LinuxSll2,
            prefixed(&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &four),
            prefixed(&[0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &six),
        ),
        (Link::Null, prefixed(&2u32.to_ne_bytes(), &four), prefixed(&30u32.swap_bytes().to_ne_bytes(), &six)),
        (Link::Loop, prefixed(&2u32.to_be_bytes(), &four), prefixed(&24u32.to_be_bytes(), &six)),
    ];
    for (link, four, six) in cases {
        assert_eq!([segment(link, &four), segment(link, &six)], expected, "{link:?}");
    }
    assert_eq!(segment(Link::Protocol(0x0800), &four), expected[0]);
    let tagged = prefixed(&[0, 5, 0x86, 0xdd], &six);
    assert_eq!(segment(Link::Protocol(0x8100), &tagged), expected[1]);
}

#[test]
fn the_padding_of_a_short_frame_is_no_payload() {
    let mut bytes = ethernet(&[], 0x0800, &ipv4(&tcp(&[], 0)));
    bytes.resize(60, 0);
    assert_eq!(segment(Link::Ethernet, &bytes).payload, 0);
}

#[test]
fn extension_headers_are_passed_over() {
    let hop_by_hop = [43, 0, 5, 2, 0, 0, 1, 0];
    let routing = [60, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let destination = [51, 0, 1, 4, 0, 0, 0, 0];
    let authentication = [6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let all = [&hop_by_hop[..], &routing, &destination, &authentication].concat();
    let segment = segment(Link::Raw, &ipv6(0, &all, &tcp(&[], 33)));
    assert_eq!((segment.payload, segment.ecn), (33, Ecn::Ect));
    for other in [17, 50, 59] {
        let bytes = ipv6(other, &[], &tcp(&[], 0));
        assert_eq!(parse(&frame(Link::Raw, &bytes)), Err(NoSegment::OtherProtocol));
    }
}

#[test]
fn packets_of_64_kib_and_more_have_the_length_that_passed() {
    let (four, six) = (ipv4(&tcp(&[], 0)), ipv6(6, &[], &tcp(&[], 0)));
    let jumbo = ipv6(0, &[6, 0, 0xc2, 4, 0, 3, 0, 8 + 20], &tcp(&[], 0));
    for (mut bytes, at, wire_len, payload) in
        [(four, 2, 200_040, 200_000), (six, 4, 200_060, 200_000), (jumbo, 4, 196_676, 0x3_0000)]
    {
        bytes[at..at + 2].fill(0);
        let frame = Frame { wire_len, ..frame(Link::Raw, &bytes) };
        let Ok(Packet::Segment(segment)) = parse(&frame) else { panic!("{:?}", parse(&frame)) };
        assert_eq!(segment.payload, payload);
    }
}

#[test]
fn options_count_up_to_the_first_bad_one() {
    let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 20];
    let it = segment(Link::Raw, &ipv4(&tcp(&syn, 0)));
    assert_eq!((it.mss, it.window_scale, it.timestamps), (Some(1460), Some(14), Some((1, 0))));
    let sack = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3];
    let it = segment(Link::Raw, &ipv4(&tcp(&sack, 0)));
    assert_eq!(it.sack.as_slice(), [(1, 2), (u32::MAX, 3)]);
    for bad in
        [[3, 3, 2, 2, 0, 2, 4, 5], [3, 3, 2, 2, 1, 2, 4, 5], [3, 3, 2, 254, 40, 9, 9, 9], [3, 3, 2, 0, 2, 4, 5, 5]]
    {
        let it = segment(Link::Raw, &ipv4(&tcp(&bad, 0)));
        assert_eq!((it.window_scale, it.mss), (Some(2), None));
    }
    // Cut by the capture: what is there counts.
    let bytes = ipv4(&tcp(&syn, 1000));
    let cut = Frame { bytes: &bytes[..46], ..frame(Link::Raw, &bytes) };
    let Ok(Packet::Segment(it)) = parse(&cut) else { panic!("{:?}", parse(&cut)) };
    assert_eq!((it.mss, it.window_scale, it.payload), (Some(1460), None, 1000));
}

#[test]
fn what_is_no_segment_has_its_reason() {
    let whole = ethernet(&[], 0x0800, &ipv4(&tcp(&[], 4)));
    for len in 0..14 + 20 + 20 {
        let cut = Frame { bytes: &whole[..len], ..frame(Link::Ethernet, &whole) };
        assert_eq!(parse(&cut), Err(NoSegment::Truncated), "{len}");
    }
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        parse(&frame(Link::Ethernet, &bytes)).err()
    };
    let malformed = Some(NoSegment::Malformed);
    for (at, to) in [(14, 0x35), (14, 0x44), (16, 0xff), (17, 19), (17, 39), (46, 0x40), (46, 0xf0)] {
        assert_eq!(changed(at, to), malformed, "byte {at}");
    }
    assert_eq!(changed(23, 17), Some(NoSegment::OtherProtocol));
    assert_eq!(changed(12, 6), Some(NoSegment::OtherProtocol));
}

/// The fragments of a segment with this payload, cut behind so many bytes of the datagram's payload.
fn fragments(payload: usize, is_ipv6: bool, cuts: &[usize]) -> Vec<Fragment> {
    let whole = tcp(&TIMESTAMPS, payload);
    let ends = cuts.iter().copied().chain([whole.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let made = starts.zip(ends).map(|(start, end)| {
        let more = end < whole.len();
        let bytes = if is_ipv6 {
            let offset = (start as u16 | u16::from(more)).to_be_bytes();
            ipv6(44, &[6, 0, offset[0], offset[1], 0, 0, 0, 99], &whole[start..end])
        } else {
            let mut bytes = ipv4(&whole[start..end]);
            bytes[6..8].copy_from_slice(&((start / 8) as u16 | u16::from(more) << 13).to_be_bytes());
            bytes
        };
        match parse(&frame(Link::Raw, &bytes)) {
            Ok(Packet::Fragment(fragment)) => fragment,
            other => panic!("{other:?}"),
        }
    });
    made.collect()
}

#[test]
fn fragments_become_the_segment_in_any_order() {
    for is_ipv6 in [false, true] {
        let parts = fragments(3000, is_ipv6, &[1480, 2960]);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut all = Fragments::default();
            let made: Vec<_> = order.iter().map(|&i| all.put(&parts[i], 9 + i as u64)).collect();
            assert_eq!((made[0], made[1]), (None, None));
            let segment = made[2].expect("the last one was missing");
            assert_eq!((segment.payload, segment.timestamps, segment.flow.source.port), (3000, Some((7, 9)), 40_000));
            assert_eq!(segment.time, 9 + order[2] as u64);
        }
    }
}

#[test]
fn fragments_that_are_never_completed_cost_a_fixed_place() {
    let parts = fragments(3000, false, &[1480]);
    let mut all = Fragments::default();
    for id in 0..10_000 {
        let mut lone = parts[0];
        lone.part.id = id;
        assert_eq!(all.put(&lone, 0), None);
    }
    assert_eq!(all.given_up, 10_000 - 64);
    assert!(all.put(&parts[0], 0).or(all.put(&parts[1], 0)).is_some(), "others are put together all the same");
}

proptest! {
    /// Whatever passes: no panic, and payload within what passed.
    #[test]
    fn no_bytes_make_it_panic(
        start in prop::sample::select(vec![
            vec![],
            ethernet(&[], 0x0800, &ipv4(&tcp(&TIMESTAMPS, 0))),
            ethernet(&[0x81, 0, 0, 1], 0x86dd, &ipv6(0, &[44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 1], &tcp(&[5, 10], 9))),
        ]),
        changes in prop::collection::vec((0usize..120, any::<u8>()), 0..6),
        more in prop::collection::vec(any::<u8>(), 0..80),
        wire_len in prop_oneof![0u32..200, any::<u32>()],
        linktype in prop::sample::select(vec![0u32, 1, 101, 108, 113, 276]),
    ) {
        let mut bytes = start;
        bytes.extend(more);
        for (at, to) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
        }
        let link = Link::from_linktype(linktype).expect("is known");
        let mut fragments = Fragments::default();
        match parse(&Frame { link, time: 0, bytes: &bytes, wire_len, gso_size: None, interface: 0 }) {
            Ok(Packet::Segment(segment)) => prop_assert!(segment.payload <= wire_len),
            Ok(Packet::Fragment(fragment)) => {
                prop_assert!(fragment.len <= wire_len);
                fragments.put(&fragment, 0);
            }
            Err(_) => {}
        }
    }
}
