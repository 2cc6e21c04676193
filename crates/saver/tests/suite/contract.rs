//! What the world reads: paths, names, lines, frames.

use std::fs;

use chrono::{DateTime, Utc};
use inetdiag::{Origin, StreamStatistics, Streams, attribute};
use saver::{HeaderFacts, Record};

use crate::support::*;

const COOKIE: u64 = 0x1_0000_00AB;

fn text(recorder: &Recorder, file: &str) -> String {
    let bytes = fs::read(recorder.output.join(file)).expect("is there");
    String::from_utf8(zstd::decode_all(&bytes[..]).expect("decodes")).expect("UTF-8")
}

#[test]
fn what_packets_said_is_on_the_line_of_its_record() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let said = |packets| {
        let sent = StreamStatistics { packets, window: Some(1), ..StreamStatistics::default() };
        Some(Streams { sent, ..Streams::default() })
    };
    let all = [None, said(7), None, said(8)];
    for (serial, streams) in (1..).zip(&all) {
        let socket = Socket::full(COOKIE, serial);
        let (message, time, origin) = (socket.message(), recorder.time, Origin::Poll(serial.into()));
        recorder.saver.record(Record { message, time, origin, streams: streams.as_ref() }, recorder.now);
    }
    recorder.close(COOKIE);
    let archive = recorder.archive(&path(COOKIE, 0));
    assert_eq!(archive.serials(), [1, 2, 3, 4]);
    assert_eq!(archive.records.iter().map(|record| record.streams.as_deref().copied()).collect::<Vec<_>>(), all);
    assert_eq!(text(&recorder, &path(COOKIE, 0)).matches("\"Streams\"").count(), 2);
}

#[test]
fn a_short_connection_is_one_frame_in_one_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(COOKIE, 1);
    recorder.full(COOKIE, 2);
    recorder.saver.record(
        Record {
            message: Socket::full(COOKIE, 3).message(),
            time: recorder.time,
            origin: Origin::Destroy { is_final: true },
            streams: None,
        },
        recorder.now,
    );
    assert_eq!((recorder.files().len(), recorder.partials().len()), (0, 0), "all of it is still in memory");
    recorder.close(COOKIE);

    assert_eq!(recorder.files(), [format!("2026/03/09/{PREFIX}_00000001000000AB.00000.jsonl.zst")]);
    assert!(recorder.partials().is_empty());
    assert_eq!(recorder.saver.connections(), 0);
    let bytes = fs::read(dir.path().join(path(COOKIE, 0))).expect("is there");
    assert_eq!(frames(&bytes).len(), 1);
    assert_zstd_accepts(dir.path(), &recorder.files());
    let archive = recorder.archive(&path(COOKIE, 0));
    assert_eq!(archive.serials(), [1, 2, 3]);
    assert_eq!(archive.records.iter().map(|record| record.is_final).collect::<Vec<_>>(), [false, false, true]);

    let counters = &recorder.counters;
    assert_eq!((counters.connections.get(), counters.files.get()), (1, 1));
    assert_eq!((counters.records.get(), counters.records_written.get(), recorder.lost()), (3, 3, 0));
    assert_eq!(counters.bytes_raw.get(), text(&recorder, &path(COOKIE, 0)).len() as u64);
    assert_eq!(counters.bytes_compressed.get(), bytes.len() as u64);
    assert_eq!(saver::Counters::sum(&counters.errors), 0);
}

#[test]
fn the_header_line_has_the_keys_of_the_original_and_the_facts_given() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = config();
    config.header = HeaderFacts {
        kernel_release: Some("6.18.44".to_owned()),
        boot_id: None,
        interval: Some("10ms".to_owned()),
        achieved_interval: Some(std::time::Duration::from_micros(12_049)),
        asked_attributes: Some("info,cong".to_owned()),
        estats: None,
        version: Some("tcp-info \"0.1\"".to_owned()),
    };
    let mut recorder = Recorder::with(dir.path(), config);
    recorder.time = "2026-03-09T12:00:00.123456789Z".parse().expect("a time");
    recorder.record(&Socket::bare(COOKIE, 0).with(attribute::INET_DIAG_TOS, &[7]));
    recorder.close(COOKIE);

    let text = text(&recorder, &path(COOKIE, 0));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        format!(
            concat!(
                r#"{{"Timestamp":"0001-01-01T00:00:00Z","Metadata":{{"UUID":"{}_00000001000000AB","Sequence":0,"#,
                r#""StartTime":"2026-03-09T12:00:00.123456789Z","KernelRelease":"6.18.44","Interval":"10ms","#,
                r#""AchievedInterval":"12ms","AskedAttributes":"info,cong","Version":"tcp-info \"0.1\""}}}}"#
            ),
            PREFIX
        )
    );
    assert!(lines[1].starts_with(r#"{"Timestamp":"2026-03-09T12:00:00.123Z","RawIDM":""#), "{}", lines[1]);
    assert!(lines[1].ends_with(r#"","Attributes":[null,null,null,null,null,"Bw=="],"Poll":1}"#), "{}", lines[1]);
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_frame_is_written_when_it_is_full_and_ends_on_a_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let mut grown = Vec::new();
    for serial in 0..3000 {
        recorder.full(COOKIE, serial);
        grown.extend(recorder.partials().first().map(|path| fs::metadata(path).expect("is there").len()));
    }
    grown.dedup();
    recorder.close(COOKIE);

    let bytes = fs::read(dir.path().join(path(COOKIE, 0))).expect("is there");
    let lengths = frames(&bytes);
    assert_eq!(grown.len(), lengths.len() - 1, "each frame but the last was on disk when it was full");
    let mut rest = &bytes[..];
    for (at, len) in lengths.iter().enumerate() {
        let lines = zstd::decode_all(&rest[..*len]).expect("decodes");
        if at + 1 < lengths.len() {
            let full = 128 << 10..=(256 << 10) + 1000;
            assert!(full.contains(&lines.len()), "frame {at} has {} bytes", lines.len());
        }
        rest = &rest[*len..];
    }
    assert_eq!(recorder.archive(&path(COOKIE, 0)).serials(), (0..3000).collect::<Vec<_>>());
    assert_zstd_accepts(dir.path(), &recorder.files());
}

#[test]
fn a_reader_that_sizes_its_buffer_from_the_first_frame_is_told_nothing_by_any() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for serial in 0..3 {
        recorder.full(COOKIE, serial);
        recorder.pass(seconds(11));
        recorder.tick();
    }
    let bytes = fs::read(&recorder.partials()[0]).expect("is there");
    assert_eq!(frames(&bytes).len(), 3);
    let read = inetdiag::ArchiveReader::sniff(std::io::Cursor::new(bytes)).expect("opens");
    let records: Vec<_> = read.skip(1).map(|record| serial(&record.expect("is whole"))).collect();
    assert_eq!(records, [0, 1, 2]);
}

#[test]
fn the_last_line_has_tcp_info_whenever_any_line_has() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.record(&Socket::bare(COOKIE, 1));
    recorder.full(COOKIE, 2);
    recorder.record(&Socket::bare(COOKIE, 3));
    recorder.full(COOKIE, 4);
    recorder.saver.record(
        Record {
            message: Socket::bare(COOKIE, 5).message(),
            time: recorder.time,
            origin: Origin::Destroy { is_final: true },
            streams: None,
        },
        recorder.now,
    );
    recorder.close(COOKIE);
    let archive = recorder.archive(&path(COOKIE, 0));
    assert_eq!(archive.serials(), [1, 2, 4]);
    assert_eq!(archive.records.iter().map(has_tcp_info).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!((recorder.counters.without_tcp_info.get(), recorder.counters.records.get()), (2, 3));
}

#[test]
fn that_rule_holds_over_frames_and_files_and_makes_no_file_of_its_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(COOKIE, 1);
    recorder.pass(seconds(600));
    recorder.tick();
    recorder.record(&Socket::bare(COOKIE, 2));
    recorder.pass(seconds(600));
    recorder.tick();
    recorder.close(COOKIE);
    assert_eq!(recorder.files(), [path(COOKIE, 0)]);
    assert_eq!(recorder.archive(&path(COOKIE, 0)).serials(), [1]);

    let never: u64 = 7;
    recorder.record(&Socket::bare(never, 1));
    recorder.record(&Socket::bare(never, 2));
    recorder.close(never);
    assert_eq!(recorder.serials(never), [1, 2], "a connection without any tcp_info keeps all it has");
}

#[test]
fn lines_stay_under_what_go_reads() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.record(&Socket::full(COOKIE, 1).with(attribute::INET_DIAG_SK_BPF_STORAGES, &[9; 60_000]));
    recorder.close(COOKIE);
    assert_eq!(recorder.counters.attributes_dropped.get(), 1);
    let text = text(&recorder, &path(COOKIE, 0));
    assert!(text.lines().all(|line| line.len() < 65_536));
    assert!(has_tcp_info(&recorder.archive(&path(COOKIE, 0)).records[0]));
}

#[test]
fn every_file_names_the_same_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let start: DateTime<Utc> = recorder.time;
    for serial in 0..3 {
        recorder.full(COOKIE, serial);
        recorder.pass(seconds(601));
        recorder.tick();
    }
    recorder.close(COOKIE);
    for sequence in 0..3 {
        let archive = recorder.archive(&path(COOKIE, sequence));
        assert_eq!((archive.metadata.sequence, archive.serials()), (sequence.into(), vec![sequence]));
        assert_eq!(archive.metadata.start_time, start);
        assert_eq!(archive.metadata.uuid, format!("{PREFIX}_{COOKIE:016X}"));
    }
}

#[test]
fn a_frame_ends_with_the_line_that_fills_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for serial in 0..3000 {
        recorder.saver.record(
            Record {
                message: Socket::bare(COOKIE, serial).message(),
                time: recorder.time,
                origin: Origin::Poll(1),
                streams: None,
            },
            recorder.now,
        );
    }
    recorder.close(COOKIE);
    let bytes = fs::read(dir.path().join(path(COOKIE, 0))).expect("is there");
    let mut rest = &bytes[..];
    let lengths = frames(&bytes);
    assert!(lengths.len() > 1);
    for len in lengths {
        let (frame, behind) = rest.split_at(len);
        let text = zstd::decode_all(frame).expect("decodes");
        let without_last = text[..text.len() - 1].iter().rposition(|&byte| byte == b'\n').expect("two lines");
        assert!(without_last < 256 << 10, "{without_last}");
        rest = behind;
    }
}
