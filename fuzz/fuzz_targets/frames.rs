//! Frames of any bytes, one after the other: parsed, put together from fragments, counted in connections, told of.
//!
//! The input is a block of the ring, and it is frames one behind the other, each with a byte for its link layer and time, and one
//! for its length.

#![no_main]

use std::cell::Cell;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use streams::analysis::Totals;
use streams::capture::{Frames, Layout};
use streams::packet::{Frame, Link};
use streams::table::{Limits, Table};

const LINKS: [Link; 8] = [
    Link::Raw,
    Link::Ethernet,
    Link::LinuxSll,
    Link::LinuxSll2,
    Link::Null,
    Link::Loop,
    Link::Protocol(0x0800),
    Link::Protocol(0x8100),
];
const SECOND: u64 = 1_000_000_000;

fuzz_target!(|input: &[u8]| {
    let limits = Limits { connections: 4, stream_age: Duration::from_secs(60), finalized_age: Duration::from_secs(1) };
    let mut table = Table::new(limits);
    let mut time = 1_700_000_000 * SECOND;
    let mut rest = input;
    while let [how, len, more @ ..] = rest {
        let (bytes, behind) = more.split_at((*len as usize).min(more.len()));
        rest = behind;
        // Mostly on, at times far, and at times back.
        time = match how >> 5 {
            7 => time.saturating_sub(SECOND),
            6 => time + 100 * SECOND,
            later => time + u64::from(later) * SECOND / 4,
        };
        let interface = u32::from(how >> 7);
        let gso_size = (how & 0x10 != 0).then_some(u16::from(*len));
        let wire_len = bytes.len() as u32 + if how & 0x08 != 0 { 100_000 } else { 0 };
        let frame = Frame { link: LINKS[usize::from(how & 7)], time, bytes, wire_len, gso_size, interface };
        table.frame(&frame, |connection| assert!(connection.reports(time).count() > 0));
        table.expire(time, 2, |_| {});
    }
    let mut totals: Totals = *table.retired().0;
    for connection in (0..table.end() as u32).filter_map(|number| table.get(number)) {
        connection.add_to(&mut totals);
        for report in connection.reports(time) {
            assert!((0.0..=100.0).contains(&report.health_score), "{report:?}");
            assert!(report.counters.spurious_retransmits <= report.counters.retransmits);
        }
    }
    assert!(totals.packets + table.counts.untracked <= table.counts.frames * 200_000);

    let malformed = Cell::new(0);
    for (ethernet, virtio_header) in [(true, true), (true, false), (false, false)] {
        let layout = Layout { ethernet, virtio_header };
        Frames::of(input, layout, &malformed).take(1000).for_each(|frame| drop(table.frame(&frame, |_| {})));
    }
});
