//! Files of all kinds, made byte by byte.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// Link layer, time, bytes and length of a packet.
type Packet = (Link, u64, Vec<u8>, u32);

fn read_all(bytes: &[u8]) -> (Vec<Packet>, FileCounts, Result<(), FileError>) {
    let mut frames = Vec::new();
    let take = |frame: &Frame<'_>| frames.push((frame.link, frame.time, frame.bytes.to_vec(), frame.wire_len));
    let (counts, outcome) = read(Cursor::new(bytes), take);
    (frames, counts, outcome)
}

/// A pcap file of one packet in the byte order that `of` makes.
fn pcap(magic: u32, linktype: u32, fraction: u32, of: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let halves = if of(1) == [1, 0, 0, 0] { [2, 0, 4, 0] } else { [0, 2, 0, 4] };
    let mut bytes = [of(magic), halves, of(0), of(0), of(65535), of(linktype)].concat();
    bytes.extend([of(1_700_000_000), of(fraction), of(5), of(9)].concat());
    bytes.extend(*b"hello");
    bytes
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, &body, &len].concat()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255])
}

/// An interface of this link layer, resolution of time, and offset in seconds.
fn interface(linktype: u8, resolution: u8, offset: i64) -> Vec<u8> {
    let mut body = vec![linktype, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, resolution, 0, 0, 0, 14, 0, 8, 0];
    body.extend(offset.to_le_bytes());
    body.extend([0; 4]);
    block(1, &body)
}

fn enhanced(interface: u32, units: u64, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u32;
    let numbers = [interface, (units >> 32) as u32, units as u32, len, len + 4];
    block(6, &[numbers.map(u32::to_le_bytes).concat(), data.to_vec()].concat())
}

#[test]
fn pcap_of_either_byte_order_and_resolution() {
    let expected = |time| vec![(Link::Ethernet, time, b"hello".to_vec(), 9)];
    for (magic, time) in [(0xa1b2_c3d4, 1_700_000_000_000_007_000), (0xa1b2_3c4d, 1_700_000_000_000_000_007)] {
        for of in [u32::to_le_bytes as fn(u32) -> [u8; 4], u32::to_be_bytes] {
            let (frames, counts, outcome) = read_all(&pcap(magic, 1, 7, of));
            assert_eq!((frames, counts.packets), (expected(time), 1));
            outcome.expect("the file is whole");
        }
    }
}

#[test]
fn pcapng_with_times_of_its_interfaces() {
    let file = [
        section(),
        interface(1, 6, 0),
        interface(101, 9, 100),
        interface(1, 0x80 | 10, 0), // 1024 a second
        enhanced(0, 1_700_000_000_000_001, b"abc"),
        block(5, &[0; 12]),                  // statistics
        block(3, &[9, 0, 0, 0, 1, 2, 3, 4]), // without a time
        enhanced(1, 1_700_000_000_000_000_001, b"de"),
        enhanced(2, 1_700_000_000 * 1024 + 512, b"f"),
        section(),
        interface(113, 6, 0),
        enhanced(0, 1, b"g"),
        enhanced(7, 1, b"of no interface"),
    ]
    .concat();
    let (frames, counts, outcome) = read_all(&file);
    let second = 1_700_000_000_000_000_000;
    assert_eq!(
        frames,
        [
            (Link::Ethernet, second + 1000, b"abc".to_vec(), 7),
            (Link::Raw, second + 1 + 100_000_000_000, b"de".to_vec(), 6),
            (Link::Ethernet, second + 500_000_000, b"f".to_vec(), 5),
            (Link::LinuxSll, 1000, b"g".to_vec(), 5),
        ]
    );
    assert_eq!(counts, FileCounts { packets: 4, untimed: 1, foreign: 1, foreign_linktype: None });
    outcome.expect("the file is whole");
}

#[test]
fn link_layers_that_are_not_known_are_counted() {
    let (frames, counts, outcome) = read_all(&pcap(0xa1b2_c3d4, 147, 0, u32::to_le_bytes));
    assert!(frames.is_empty() && outcome.is_ok());
    assert_eq!(counts, FileCounts { packets: 0, untimed: 0, foreign: 1, foreign_linktype: Some(147) });
}

#[test]
fn a_cut_file_is_read_up_to_the_cut() {
    let whole = pcap(0xa1b2_c3d4, 1, 7, u32::to_le_bytes);
    let second = &whole[24..];
    let file = [&whole[..], second].concat();
    for len in 46..file.len() {
        let (frames, _, outcome) = read_all(&file[..len]);
        assert_eq!(frames.len(), 1, "{len}");
        assert_eq!(outcome.is_ok(), len == 45, "{len}");
        let Err(error) = outcome else { continue };
        assert!(error.to_string().starts_with("cut at byte 45:"), "{error}");
    }
}

#[test]
fn what_is_no_capture_is_told_so() {
    for bytes in
        [&b""[..], b"abc", b"\x0a\x0d\x0d\x0a", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"]
    {
        assert!(matches!(read_all(bytes).2, Err(FileError::NotACapture)), "{bytes:?}");
    }
}

#[test]
fn damage_has_its_place() {
    let mut file = [section(), interface(1, 6, 0), enhanced(0, 1, b"abc"), enhanced(0, 2, b"def")].concat();
    let at = file.len() - enhanced(0, 2, b"def").len();
    file[at + 4] = 3; // no length of a block
    let (frames, _, outcome) = read_all(&file);
    assert_eq!(frames.len(), 1);
    assert!(outcome.is_err_and(|error| error.to_string().contains(&format!("at byte {at}"))));
}

#[test]
fn an_error_of_reading_is_handed_on() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let whole = pcap(0xa1b2_c3d4, 1, 7, u32::to_le_bytes);
            let left = &whole[self.0..];
            if left.is_empty() {
                return Err(io::Error::from_raw_os_error(5));
            }
            // In small pieces, as a pipe may.
            let len = left.len().min(3).min(buffer.len());
            buffer[..len].copy_from_slice(&left[..len]);
            self.0 += len;
            Ok(len)
        }
    }
    let (counts, outcome) = read(Broken(0), |_| {});
    assert_eq!(counts.packets, 1);
    assert!(outcome.is_err_and(|error| error.to_string().contains("os error 5")));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        start in prop::sample::select(vec![
            pcap(0xa1b2_c3d4, 1, 7, u32::to_be_bytes),
            [section(), interface(1, 6, 0), enhanced(0, 1, b"abc"), block(3, &[9, 0, 0, 0, 1, 2, 3, 4])].concat(),
        ]),
        changes in prop::collection::vec((0usize..160, any::<u8>()), 0..6),
        more in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut bytes = start;
        bytes.extend(more);
        for (at, to) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
        }
        let _ = read_all(&bytes);
    }
}
