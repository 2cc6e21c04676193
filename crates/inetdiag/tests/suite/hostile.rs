//! No prefix and no changed byte of a dump, a line or an archive makes anything panic or go on without end.
//!
//! Real captures are damaged in every place, and bytes that never were a capture are tried too.

use inetdiag::{ArchiveReader, Attributes, NetlinkMessages};
use proptest::prelude::*;

use crate::support::invariants::{of_archive, of_reply, of_socket, of_text};
use crate::support::{read, testdata};
use crate::transfer;

/// Runs `check` on every prefix, and with every byte changed to several values.
fn damaged_everywhere(bytes: &[u8], mut check: impl FnMut(&[u8])) {
    for end in 0..=bytes.len() {
        check(&bytes[..end]);
    }
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        let was = bytes[at];
        for value in [0, 1, 3, 4, 0x7f, 0x80, 0xff, was ^ 1, was.wrapping_add(1), was.wrapping_sub(1)] {
            damaged[at] = value;
            check(&damaged);
        }
        damaged[at] = was;
    }
}

#[test]
fn every_damaged_socket_message_is_taken_apart() {
    for file in ["netlink/states.bin", "netlink/events.bin"] {
        let buffers = read(testdata(file));
        for message in NetlinkMessages::new(&buffers) {
            damaged_everywhere(message.expect("whole").payload, of_socket);
        }
    }
}

#[test]
fn every_damaged_dump_is_walked_to_its_end() {
    let buffers = read(testdata("netlink/states.bin"));
    let total = of_reply(&buffers);
    let mut whole = 0;
    for end in 0..=buffers.len() {
        let messages = NetlinkMessages::new(&buffers[..end]).filter(Result::is_ok).count();
        assert!(messages >= whole && messages <= total, "a longer prefix has no fewer messages");
        whole = messages;
    }
    assert_eq!(whole, total);
    // Damage to the framing itself: the headers of the first messages.
    let start = NetlinkMessages::new(&buffers).take(4).map(|m| m.expect("whole")).last().expect("four").offset;
    damaged_everywhere(&buffers[..start], |damaged| assert!(of_reply(damaged) <= start / 16));
}

/// A header line, two records, each without its newline.
fn three_lines() -> Vec<Vec<u8>> {
    let text = zstd::decode_all(&*read(transfer::archive())).expect("whole");
    text.split(|byte| *byte == b'\n').take(3).map(<[u8]>::to_vec).collect()
}

#[test]
fn a_damaged_line_never_costs_another() {
    let lines = three_lines();
    let alone = ArchiveReader::new(&*lines[2]).next().expect("a line").expect("well formed");
    for victim in &lines[..2] {
        let mut bad = 0;
        damaged_everywhere(victim, |damaged| {
            let text = [&*lines[0], damaged, &*lines[2], b""].join(&b'\n');
            let (good, others) = of_text(&text);
            assert!((2..=3).contains(&good) && good + others <= 3 + usize::from(damaged.contains(&b'\n')));
            let last = ArchiveReader::new(&*text).last().expect("lines").expect("the good line behind it");
            assert_eq!(last, alone);
            bad += others;
        });
        assert!(bad > victim.len(), "most damage matters");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_never_were_a_reply_are_taken_apart(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        of_reply(&bytes);
        of_socket(&bytes);
        prop_assert!(Attributes::new(&bytes, 0).count() <= bytes.len() / 4 + 1);
        prop_assert_eq!(Attributes::new(&bytes, bytes.len() + 1).count(), 0);
    }

    #[test]
    fn archives_with_several_wounds_are_read_to_their_end(
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        compressed in any::<bool>(),
    ) {
        let mut content = read(transfer::archive());
        if !compressed {
            content = zstd::decode_all(&*content).expect("whole");
        }
        for (at, value) in wounds {
            let at = at.index(content.len());
            content[at] = value;
        }
        content.truncate(cut.index(content.len() * 2).min(content.len()));
        of_archive(&content);
    }

    #[test]
    fn bytes_that_never_were_an_archive_are_read_to_their_end(
        mut content in prop::collection::vec(any::<u8>(), 0..2000),
        is_zstd in any::<bool>(),
    ) {
        if is_zstd {
            content.splice(0..0, [0x28, 0xb5, 0x2f, 0xfd]);
        }
        of_archive(&content);
    }
}
