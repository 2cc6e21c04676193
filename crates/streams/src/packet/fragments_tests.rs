use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::packet::{Ecn, Endpoint, Flags, SackBlocks};

const SECOND: u64 = 1_000_000_000;
/// As if the header of a segment found room in the shortest fragment.
const HEADER: u32 = 8;
const END: Endpoint = Endpoint { address: [7; 16], port: 0 };
const FLOW: Flow = Flow { source: END, destination: END };

/// The fragment with these bytes of the datagram `id`, which has so many.
fn part(id: u32, bytes: Range<u32>, total: u32) -> Fragment {
    let len = bytes.end - bytes.start;
    let head = Segment {
        time: 0,
        interface: 0,
        flow: FLOW,
        seq: id,
        ack: 0,
        flags: Flags(0),
        window: 0,
        payload: len.saturating_sub(HEADER),
        gso_size: None,
        ecn: Ecn::NotEct,
        mss: None,
        window_scale: None,
        timestamps: None,
        sack: SackBlocks::default(),
    };
    let part = Part { id, offset: bytes.start, is_last: bytes.end == total };
    Fragment { flow: FLOW, interface: 0, part, len, head: (bytes.start == 0).then_some(head) }
}

fn payload(segment: Option<Segment>) -> Option<u32> {
    segment.map(|segment| segment.payload)
}

#[test]
fn what_comes_twice_does_not_stand_for_what_is_missing() {
    let mut all = Fragments::default();
    for bytes in [0..1480, 0..1480, 0..1480, 2960..3020, 2960..3020, 8..1488, 1488..2952] {
        assert_eq!(all.put(&part(1, bytes, 3020), 0), None);
    }
    assert_eq!(payload(all.put(&part(1, 1480..2960, 3020), 0)), Some(3012));
    assert_eq!(all.given_up, 0);
}

#[test]
fn what_is_incomplete_for_half_a_minute_is_given_up() {
    let mut all = Fragments::default();
    for second in [0, 10] {
        assert_eq!(all.put(&part(second, 0..8, 24), SECOND * u64::from(second)), None);
    }
    assert_eq!(all.put(&part(0, 8..16, 24), 30 * SECOND - 1), None);
    assert_eq!(all.given_up, 0);
    assert_eq!(all.put(&part(0, 16..24, 24), 30 * SECOND), None, "it is the first one of another");
    assert_eq!(all.given_up, 1);
    assert_eq!(payload(all.put(&part(10, 8..24, 24), 31 * SECOND)), Some(16));
    // The clock is set back.
    assert_eq!(all.put(&part(5, 0..8, 24), 0), None);
    assert_eq!(all.given_up, 2);
}

#[test]
fn if_there_is_no_room_the_oldest_goes() {
    let begin = |all: &mut Fragments, ids: Range<u32>| {
        ids.for_each(|id| assert_eq!(all.put(&part(id, 0..8, 24), 0), None));
    };
    let mut all = Fragments::default();
    begin(&mut all, 0..64);
    assert!(all.put(&part(10, 8..24, 24), 0).is_some());
    begin(&mut all, 64..76);
    assert_eq!(all.given_up, 11);
    for id in 12..76 {
        assert_eq!(all.put(&part(id, 8..24, 24), 0).map(|it| it.seq), Some(id), "it is among the last 64");
    }
}

#[test]
fn the_largest_datagram_is_put_together_and_what_is_larger_is_none() {
    let mut all = Fragments::default();
    assert_eq!(all.put(&part(1, 65_528..65_535, 65_535), 0), None);
    for beyond in [part(1, 65_528..65_536, 65_536), part(1, 0..200_000, u32::MAX), part(1, u32::MAX - 7..u32::MAX, 0)] {
        assert_eq!(all.put(&beyond, 0), None);
    }
    assert_eq!(payload(all.put(&part(1, 0..65_528, 65_535), 0)), Some(65_535 - HEADER));
    // Only what is last may have any length.
    for bytes in [0..15, 8..15, 16..24] {
        assert_eq!(all.put(&part(2, bytes, 24), 0), None);
    }
    assert!(all.put(&part(2, 8..16, 24), 0).is_some());
}

proptest! {
    /// Parts of 75 units of eight bytes, in any order and as often as may be.
    #[test]
    fn a_datagram_is_complete_with_the_last_unit_that_was_missing(
        parts in prop::collection::vec((0u32..75, 1u32..40), 1..40),
        short in 0u32..8,
    ) {
        let total = 75 * UNIT - short;
        let mut is_here = [false; 75];
        let mut all = Fragments::default();
        for (start, units) in parts {
            let end = (start + units).min(75);
            is_here[start as usize..end as usize].fill(true);
            let put = all.put(&part(1, start * UNIT..(end * UNIT).min(total), total), 0);
            prop_assert_eq!(put.is_some(), is_here.iter().all(|&is| is));
            if let Some(segment) = put {
                prop_assert_eq!(segment.payload, total - HEADER);
                break;
            }
        }
    }
}

/// On a bridge each fragment passes twice.
#[test]
fn each_interface_has_datagrams_of_its_own() {
    let mut fragments = Fragments::default();
    let on = |interface, fragment| Fragment { interface, ..fragment };
    let [first, last] = [part(7, 0..800, 1000), part(7, 800..1000, 1000)];
    for interface in [1, 2] {
        assert_eq!(fragments.put(&on(interface, first), 0), None);
    }
    for interface in [1, 2] {
        assert!(fragments.put(&on(interface, last), 0).is_some());
    }
    fragments.expire(u64::MAX);
    assert_eq!(fragments.given_up, 0);
}
