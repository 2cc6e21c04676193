//! `ArchiveReader` on files in any state: what is whole is read, what is not is told, and nothing is made up.

use std::io::{Cursor, Write};

use inetdiag::attribute::INET_DIAG_INFO;
use inetdiag::{ArchivalRecord, ArchiveReader, MAX_READ_LINE_LEN, ReadError, ReadFault, Snapshot};

use crate::support::read;
use crate::transfer;

type Lines = Vec<Result<ArchivalRecord, ReadError>>;

/// Everything that a file of this content yields.
fn sniff(content: impl Into<Vec<u8>>) -> Lines {
    ArchiveReader::sniff(Cursor::new(content.into())).expect("in memory").collect()
}

fn archive_text() -> String {
    String::from_utf8(zstd::decode_all(&*read(transfer::archive())).expect("whole")).expect("UTF-8")
}

/// A header line, two records, each with its newline.
fn three_lines() -> Vec<String> {
    archive_text().split_inclusive('\n').take(3).map(str::to_owned).collect()
}

/// Reads `bad` between two good lines, checks that those are read, and returns what was said of the bad one.
fn fault_of(bad: &str) -> ReadError {
    let lines = three_lines();
    let mut results = sniff([&lines[0], bad, "\n", &lines[2]].concat());
    assert_eq!(results.len(), 3, "{bad}");
    let good = sniff(lines[2].as_str()).remove(0).expect("good");
    assert_eq!(results.remove(2).expect("reading goes on"), good);
    let error = results.remove(1).expect_err("a bad line");
    assert_eq!((error.line, error.offset), (2, lines[0].len() as u64));
    error
}

#[test]
fn a_bad_line_is_told_with_its_reason_and_reading_goes_on() {
    let idm = "A".repeat(96);
    for (line, reason) in [
        (r#"{"RawIDM":"AAAA"}"#.to_owned(), "RawIDM has 3 bytes, needs 72"),
        (r#"{"RawIDM":"A*AA"}"#.to_owned(), "RawIDM is no base64"),
        (r#"{"RawIDM":7}"#.to_owned(), "invalid type: integer `7`"),
        (format!(r#"{{"RawIDM":"{idm}","Attributes":[null,"A"]}}"#), "attribute 1 is no base64"),
        (format!(r#"{{"RawIDM":"{idm}","Attributes":[null,5]}}"#), "invalid type: integer `5`"),
        (format!(r#"{{"RawIDM":"{idm}","Attributes":"AAAA"}}"#), "expected an array of base64 values"),
        (format!(r#"{{"RawIDM":"{idm}","Attributes":{{}}}}"#), "expected an array of base64 values"),
        (format!(r#"{{"RawIDM":"{idm}","Final":"yes"}}"#), "expected a boolean"),
        (format!(r#"{{"RawIDM":"{idm}","Timestamp":"yesterday"}}"#), "Timestamp \"yesterday\""),
        (format!(r#"{{"RawIDM":"{idm}","Timestamp":17}}"#), "invalid type: integer `17`"),
        (format!(r#"{{"RawIDM":"{idm}"}} {{}}"#), "trailing characters"),
        (r#"{"Metadata":{"Sequence":0}}"#.to_owned(), "missing field `UUID`"),
        (r#"{"Metadata":[]}"#.to_owned(), "invalid length 0"),
        (r#"{"Timestamp":"2026-01-02T03:04:05Z"}"#.to_owned(), "neither RawIDM nor Metadata"),
        ("{}".to_owned(), "neither RawIDM nor Metadata"),
        ("[]".to_owned(), "expected an archive record"),
        ("7".to_owned(), "expected an archive record"),
        ("{".to_owned(), "EOF while parsing"),
        ("\u{0}".to_owned(), "expected value"),
    ] {
        let error = fault_of(&line);
        assert!(matches!(error.fault, ReadFault::Malformed(_)), "{error}");
        assert!(error.to_string().contains(reason), "{line}: {error}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_a_bad_line() {
    let lines = three_lines();
    let content = [lines[0].as_bytes(), b"{\"RawIDM\":\"\xff\xfe\"}\n", lines[2].as_bytes()].concat();
    let results = sniff(content);
    assert!(results.len() == 3 && results[0].is_ok() && results[1].is_err() && results[2].is_ok());
}

#[test]
fn keys_may_be_absent_unknown_null_escaped_and_in_any_order() {
    let idm = "A".repeat(96);
    for line in [
        format!(r#"{{"RawIDM":"{idm}"}}"#),
        format!(r#"{{"New":{{"deep":[1,{{}}]}},"Attributes":null,"Metadata":null,"RawIDM":"{idm}","Other":1e9}}"#),
        format!(r#" {{ "\u0052awIDM" : "\u0041{}" }} "#, &idm[1..]),
    ] {
        let record = sniff(line.as_str()).remove(0).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(record.raw_idm.is_some() && record.attributes.iter().next().is_none() && !record.is_final);
    }
}

#[test]
fn blank_lines_and_carriage_returns_do_not_matter() {
    let lines = three_lines();
    let plain: Vec<_> = sniff(lines.concat()).into_iter().map(Result::unwrap).collect();
    let crlf = lines.concat().replace('\n', "\r\n\r\n \t\n");
    let read: Vec<_> = sniff(crlf).into_iter().map(Result::unwrap).collect();
    assert_eq!(read, plain);
    assert!(sniff("").is_empty() && sniff("\n\n \r\n").is_empty());
}

#[test]
fn the_last_line_may_lack_its_newline_but_nothing_else() {
    let text = three_lines().concat();
    let whole = text.trim_end();
    assert!(sniff(whole).iter().all(Result::is_ok));
    let start = three_lines()[..2].concat().len();
    for end in start + 1..whole.len() {
        let mut results = sniff(&whole[..end]);
        let error = results.pop().expect("the cut line").expect_err("is an error");
        assert!(matches!(error.fault, ReadFault::Cut { len } if len == end - start), "{end}: {error}");
        assert_eq!((error.line, error.offset), (3, start as u64));
        assert!(results.len() == 2 && results.iter().all(Result::is_ok));
    }
}

#[test]
fn a_line_too_long_is_skipped_whole() {
    let lines = three_lines();
    for len in [MAX_READ_LINE_LEN + 1, MAX_READ_LINE_LEN + 2, 3 * MAX_READ_LINE_LEN] {
        let error = fault_of(&"x".repeat(len));
        assert!(matches!(error.fault, ReadFault::TooLong), "{len}: {error}");
    }
    // What follows is told its right place.
    let long = "x".repeat(2 * MAX_READ_LINE_LEN) + "\n";
    let place = |result: &Result<_, ReadError>| result.as_ref().map_err(|error| (error.line, error.offset)).err();
    assert_eq!(place(&sniff([&long, "bad"].concat())[1]), Some((2, long.len() as u64)));
    // The longest that is read, newline included, and one without a newline behind it.
    let padding = " ".repeat(MAX_READ_LINE_LEN - lines[1].len());
    assert!(sniff([padding.as_str(), &lines[1], &lines[2]].concat()).iter().all(Result::is_ok));
    let results = sniff([lines[0].as_str(), &"x".repeat(2 * MAX_READ_LINE_LEN)].concat());
    assert!(results.len() == 2 && matches!(&results[1], Err(error) if matches!(error.fault, ReadFault::TooLong)));
}

#[test]
fn a_reader_reuses_its_record_and_counts_its_bytes() {
    let text = archive_text();
    let mut reader = ArchiveReader::new(text.as_bytes());
    let mut record = ArchivalRecord::default();
    for expected in sniff(text.as_str()) {
        reader.read(&mut record).expect("a line").expect("well formed");
        assert_eq!(record, expected.expect("well formed"), "nothing is left of the line before");
    }
    assert!(reader.read(&mut record).is_none() && reader.read(&mut record).is_none());
    assert_eq!(reader.offset(), text.len() as u64);
}

#[test]
fn attributes_that_are_not_wanted_are_absent_and_all_else_is_as_it_was() {
    let text = archive_text();
    let only = ArchiveReader::new(text.as_bytes()).only(&[INET_DIAG_INFO, 200]);
    for (only, all) in only.zip(sniff(text.as_str())) {
        let (only, mut all) = (only.expect("well formed"), all.expect("well formed"));
        let info = all.attributes.get(INET_DIAG_INFO);
        assert_eq!(
            only.attributes.iter().collect::<Vec<_>>(),
            info.map(|info| (INET_DIAG_INFO, info)).into_iter().collect::<Vec<_>>()
        );
        assert_eq!(
            only.tcp_info().and_then(|info| info.rtt()),
            Snapshot::decode(&all).tcp_info.and_then(|info| info.rtt())
        );
        all.attributes = only.attributes.clone();
        assert_eq!(only, all);
    }
    // What is skipped is looked at no further.
    let line = format!(r#"{{"RawIDM":"{}","Attributes":[null,"*"]}}"#, "A".repeat(96));
    assert!(ArchiveReader::new(line.as_bytes()).only(&[2]).all(|line| line.is_ok()));
}

#[test]
fn a_source_that_delivers_byte_by_byte_is_sniffed_too() {
    struct Trickle(Cursor<Vec<u8>>);
    impl std::io::Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }
    for content in [read(transfer::archive()), archive_text().into_bytes()] {
        let records = ArchiveReader::sniff(Trickle(Cursor::new(content))).expect("in memory");
        assert_eq!(records.filter(Result::is_ok).count(), archive_text().lines().count());
    }
}

#[test]
fn skippable_and_empty_frames_do_not_matter() {
    let file = read(transfer::archive());
    let records = sniff(file.as_slice()).len();
    let skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let empty = zstd::encode_all(&b""[..], 3).expect("in memory");
    for content in [[&skippable[..], &file].concat(), [&file, &skippable[..]].concat(), [&empty, &*file].concat()] {
        let results = sniff(content);
        assert!(results.len() == records && results.iter().all(Result::is_ok));
    }
}

/// A compressor that is flushed writes many blocks into one frame, and a decoder takes several of them in one step.
#[test]
fn blocks_before_a_damaged_one_of_the_same_frame_are_read() {
    let lines = three_lines();
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("level 3");
    encoder.include_checksum(true).expect("before the first byte");
    for line in &lines {
        encoder.write_all(line.as_bytes()).expect("in memory");
        encoder.flush().expect("in memory");
    }
    let blocks = encoder.get_ref().clone();
    let whole = encoder.finish().expect("in memory");
    // The header of a block of a type that does not exist, and a checksum that is not right.
    let of_no_type = [&blocks[..], &[0x07, 0, 0]].concat();
    let changed = [&whole[..whole.len() - 1], &[!whole[whole.len() - 1]]].concat();
    for frame in [of_no_type, changed] {
        let mut results = sniff(frame);
        let error = results.pop().expect("the damage").expect_err("is an error");
        assert!(matches!(error.fault, ReadFault::Damaged(_)), "{error}");
        assert_eq!((error.line, error.offset), (4, lines.concat().len() as u64));
        assert!(results.len() == 3 && results.iter().all(Result::is_ok));
    }
}

#[test]
fn an_archive_cut_anywhere_yields_what_came_before_and_at_most_one_error() {
    let file = read(transfer::archive());
    let whole: Vec<_> = sniff(file.as_slice()).into_iter().map(Result::unwrap).collect();
    let mut clean_cuts = 0;
    for end in 0..file.len() {
        let mut results = sniff(&file[..end]);
        let is_clean = results.last().is_none_or(Result::is_ok);
        clean_cuts += usize::from(is_clean);
        if !is_clean {
            results.pop();
        }
        let records: Vec<_> = results.into_iter().collect::<Result<_, _>>().expect("only the end is bad");
        assert!(whole.starts_with(&records) && !(is_clean && records == whole), "{end}");
    }
    // No bytes at all, and behind each frame but the last: elsewhere a cut never goes unnoticed.
    assert_eq!(clean_cuts, whole.len().div_ceil(transfer::LINES_PER_FRAME));
}

#[test]
fn a_damaged_archive_is_never_read_as_another_without_an_error() {
    let file = read(transfer::archive());
    let whole: Vec<_> = sniff(file.as_slice()).into_iter().map(Result::unwrap).collect();
    let mut noticed = 0;
    for at in 0..file.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= bits;
            match sniff(damaged).into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(records) => assert_eq!(records, whole, "byte {at} ^ {bits:#x}"),
                Err(_) => noticed += 1,
            }
        }
    }
    assert!(noticed > file.len() * 2, "most damage matters: {noticed}");
}

/// Frames of a line or two each, as they are when a busy connection is flushed.
fn frames() -> Vec<(Vec<u8>, Vec<ArchivalRecord>)> {
    let text = archive_text();
    let lines: Vec<&str> = text.split_inclusive('\n').take(12).collect();
    let frame = |lines: &[&str]| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("level 3");
        encoder.include_checksum(true).expect("before the first byte");
        encoder.write_all(lines.concat().as_bytes()).expect("in memory");
        let records = sniff(lines.concat()).into_iter().map(|line| line.expect("is whole")).collect();
        (encoder.finish().expect("in memory"), records)
    };
    lines.chunks(3).map(frame).collect()
}

#[test]
fn a_damaged_frame_costs_no_line_of_another() {
    let frames = frames();
    let (first, second) = (frames[0].0.len(), frames[1].0.len());
    let whole: Vec<u8> = frames.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let spared: Vec<_> = frames[2..].iter().flat_map(|(_, records)| records.clone()).collect();
    let all: usize = frames.iter().map(|(_, records)| records.len()).sum();
    let check = |bytes: Vec<u8>, case: &str| {
        let (good, bad): (Vec<_>, Vec<_>) = sniff(bytes).into_iter().partition(Result::is_ok);
        let good: Vec<_> = good.into_iter().flatten().collect();
        assert!(good.starts_with(&frames[0].1) && good.ends_with(&spared), "{case}: {} lines", good.len());
        // One bit of a frame's header means nothing. Until its checksum is missed, a frame may be read as other text.
        assert!(!bad.is_empty() || good.len() == all, "{case}");
    };
    for at in first..first + second {
        for bits in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            check(bytes, &format!("byte {at} ^ {bits:#x}"));
        }
    }
    for at in first + 1..first + second {
        check([&whole[..at], &whole[first + second..]].concat(), &format!("cut at {at}, and gone on"));
    }
    let garbage: Vec<u8> = (0..300_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    check([&whole[..first], &garbage, &whole[first + second..]].concat(), "garbage between");
}

#[test]
fn damage_is_told_once_and_where_it_is() {
    let frames = frames();
    let first = frames[0].0.len();
    let bytes = [&frames[0].0[..], &[0; 100_000], &frames[1].0].concat();
    let results = sniff(bytes);
    let faults: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let [ReadError { line: 4, fault: ReadFault::Damaged(damage), .. }] = faults[..] else { panic!("{faults:?}") };
    assert!((first as u64..first as u64 + 20).contains(&damage.at), "{damage} is at {first}");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6);
}

/// Each frame holds the next one as a raw block that seems to be longer than it is: all of them can be decoded, none to
/// its end.
#[test]
fn frames_within_frames_do_not_cost_time_without_bound() {
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x00, 0x00, 0x10];
    let bytes = frame.repeat(400_000);
    let read: u64 = sniff_bytes(bytes.clone());
    assert!(read < 20 * bytes.len() as u64, "{read} bytes of text");
}

/// Bytes of text that a hostile file yields.
fn sniff_bytes(content: Vec<u8>) -> u64 {
    let mut reader = ArchiveReader::sniff(Cursor::new(content)).expect("in memory");
    let mut record = ArchivalRecord::default();
    while reader.read(&mut record).is_some() {}
    reader.offset()
}
