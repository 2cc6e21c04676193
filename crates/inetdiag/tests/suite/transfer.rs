//! `loopback.00000.jsonl.zst`, the archive that the crate's own documentation reads: encoded from captured replies.

use std::fs;
use std::path::PathBuf;
use std::sync::Once;

use chrono::{DateTime, TimeDelta, Utc};
use inetdiag::{ArchivalRecord, Metadata, Origin, Snapshot, TcpState, TimestampText, encode_header, encode_record};

use crate::support::{read, sockets, testdata, updating};

/// The capture only knows the milliseconds since its own start; the day is made up.
const STARTED: &str = "2026-01-02T03:04:05Z";
pub(crate) const LINES_PER_FRAME: usize = 16;

/// The archive's lines, as a recorder would have written them from `transfer.bin`.
fn lines() -> Vec<Vec<u8>> {
    let capture = read(testdata("netlink/transfer.bin"));
    let start: DateTime<Utc> = STARTED.parse().expect("a time");
    let sockets = sockets(&capture);
    let cookie = sockets[0].1.cookie();
    let mut lines = vec![Vec::new()];
    let metadata = Metadata {
        uuid: format!("loopback_1767323000_unsafe_{cookie:016X}"),
        sequence: 0,
        start_time: start.fixed_offset(),
        kernel_release: Some("6.18.44".to_owned()),
        boot_id: Some("00000000-0000-0000-0000-000000000000".to_owned()),
        interval: Some("10ms".to_owned()),
        achieved_interval: Some("10ms".to_owned()),
        asked_attributes: Some("full".to_owned()),
        estats: None,
        version: Some("tcp-info 0.1.0".to_owned()),
    };
    encode_header(&mut lines[0], &metadata).expect("plain text");
    for (poll, (milliseconds, message)) in (1..).zip(sockets) {
        assert_eq!(message.cookie(), cookie, "the capture is of one connection");
        let time = TimestampText::new(start + TimeDelta::milliseconds(milliseconds.into()));
        let origin = match message.header().state() {
            Some(TcpState::Close) => Origin::Destroy { is_final: true },
            _ => Origin::Poll(poll),
        };
        let mut line = Vec::new();
        assert_eq!(encode_record(&mut line, &time, message, origin, None), 0);
        lines.push(line);
    }
    lines
}

/// Independent frames of whole lines, with checksum and without content size, as recorders write them.
fn compress(lines: &[Vec<u8>]) -> Vec<u8> {
    let frame = |lines: &[Vec<u8>]| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("level 3 exists");
        encoder.include_contentsize(false).expect("is an option");
        encoder.include_checksum(true).expect("is an option");
        std::io::Write::write_all(&mut encoder, &lines.concat()).expect("into memory");
        encoder.finish().expect("into memory")
    };
    lines.chunks(LINES_PER_FRAME).flat_map(frame).collect()
}

/// Where the archive is; it is made anew first when expected files are.
pub(crate) fn archive() -> PathBuf {
    static UPDATED: Once = Once::new();
    let path = testdata("archives/loopback.00000.jsonl.zst");
    UPDATED.call_once(|| {
        if updating() {
            fs::write(&path, compress(&lines())).expect("testdata can be written");
        }
    });
    path
}

#[test]
fn the_archive_is_what_the_capture_encodes_to() {
    let text = zstd::decode_all(&*read(archive())).expect("whole frames");
    assert!(text == lines().concat(), "the encoder's output changed, but readers of it are out in the world");
}

#[test]
fn the_archive_tells_one_connection_from_first_sight_to_its_end() {
    let mut records = inetdiag::open(archive()).expect("there");
    let header = records.next().expect("a header").expect("well formed");
    assert!(header.metadata.is_some_and(|metadata| metadata.uuid.starts_with("loopback_")));

    let records: Vec<ArchivalRecord> = records.collect::<Result<_, _>>().expect("well formed");
    assert!(records.len() > 30 && records.is_sorted_by_key(|record| record.timestamp));
    let sent = |record: &ArchivalRecord| Snapshot::decode(record).tcp_info.and_then(|info| info.bytes_sent());
    assert!(records.is_sorted_by_key(|record| sent(record).expect("since Linux 4.19")));
    let (last, others) = records.split_last().expect("records");
    assert!(last.is_final && others.iter().all(|record| !record.is_final));
    let Some(end) = Snapshot::decode(last).tcp_info else { panic!("the last record carries the totals") };
    // The SYN and the FIN count as one byte each.
    let payload = end.bytes_sent().zip(end.bytes_retrans()).map(|(sent, again)| sent - again);
    assert_eq!(end.bytes_acked(), payload.map(|payload| payload + 2));
}
