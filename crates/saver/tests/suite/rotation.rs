//! When records reach the disk, and when files their place.

use std::fs;

use crate::support::*;

const COOKIE: u64 = 0xC0;

fn partial_len(recorder: &Recorder) -> u64 {
    recorder.partials().iter().map(|path| fs::metadata(path).expect("is there").len()).sum()
}

#[test]
fn records_are_written_at_their_age_and_not_before() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(COOKIE, 1);
    recorder.pass(seconds(6));
    recorder.full(COOKIE, 2);
    recorder.pass(std::time::Duration::from_millis(3_999));
    recorder.tick();
    assert_eq!(partial_len(&recorder), 0);
    recorder.pass(std::time::Duration::from_millis(1));
    recorder.tick();
    let first = partial_len(&recorder);
    assert!(first > 0);
    assert_eq!(recorder.counters.records_written.get(), 2, "the younger one goes with the older one");

    recorder.full(COOKIE, 3);
    recorder.pass(seconds(9));
    recorder.tick();
    assert_eq!(partial_len(&recorder), first, "age counts anew from the next record");
    recorder.pass(seconds(1));
    recorder.tick();
    assert!(partial_len(&recorder) > first);
    assert!(recorder.files().is_empty(), "the file is not finished, so the date tree does not have it");
}

#[test]
fn one_connection_that_is_young_does_not_hold_up_one_that_is_old() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    // Written when full at second 5, and pending anew since then: the queue's first entry of it is stale.
    recorder.full(1, 0);
    recorder.full(2, 0);
    recorder.pass(seconds(5));
    for serial in 1..500 {
        recorder.full(1, serial);
    }
    let written = recorder.counters.records_written.get();
    assert!((100..500).contains(&written));
    recorder.pass(seconds(5));
    recorder.tick();
    assert_eq!(recorder.counters.records_written.get(), written + 1, "that of the second connection, and no more");
}

#[test]
fn an_idle_connection_has_its_file_finished_by_age() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(COOKIE, 1);
    recorder.pass(seconds(10));
    recorder.tick();
    recorder.pass(seconds(589));
    recorder.tick();
    assert_eq!((recorder.files().len(), recorder.partials().len()), (0, 1));
    recorder.pass(seconds(1));
    recorder.tick();
    assert_eq!((recorder.files(), recorder.partials().len()), (vec![path(COOKIE, 0)], 0));
    for _ in 0..10 {
        recorder.pass(seconds(600));
        recorder.tick();
    }
    recorder.close(COOKIE);
    assert_eq!(recorder.files(), [path(COOKIE, 0)], "silence makes no files");
}

#[test]
fn a_busy_connection_is_rotated_by_its_own_records() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for serial in 0..1300 {
        recorder.full(COOKIE, serial);
        recorder.pass(seconds(1));
    }
    recorder.close(COOKIE);
    assert_eq!(recorder.files(), [path(COOKIE, 0), path(COOKIE, 1), path(COOKIE, 2)]);
    assert_eq!(recorder.archive(&path(COOKIE, 0)).serials(), (0..=600).collect::<Vec<_>>());
    assert_eq!(recorder.archive(&path(COOKIE, 1)).serials(), (601..=1201).collect::<Vec<_>>());
    assert_eq!(recorder.serials(COOKIE), (0..1300).collect::<Vec<_>>());
    assert_zstd_accepts(dir.path(), &recorder.files());
}

#[test]
fn rotation_writes_what_is_pending_into_the_file_it_belongs_to() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = config();
    config.flush_age = seconds(3600);
    let mut recorder = Recorder::with(dir.path(), config);
    recorder.full(COOKIE, 1);
    recorder.pass(seconds(600));
    recorder.tick();
    recorder.full(COOKIE, 2);
    assert_eq!(recorder.archive(&path(COOKIE, 0)).serials(), [1]);
    recorder.close(COOKIE);
    assert_eq!(recorder.archive(&path(COOKIE, 1)).serials(), [2]);
}

#[test]
fn the_first_file_lies_under_the_day_of_the_first_record_and_later_ones_under_their_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.time = "2026-12-31T23:55:00Z".parse().expect("a time");
    recorder.full(COOKIE, 1);
    recorder.pass(seconds(299));
    recorder.full(COOKIE, 2);
    recorder.pass(seconds(2));
    recorder.full(COOKIE, 3);
    recorder.pass(seconds(299));
    recorder.tick();
    recorder.full(COOKIE, 4);
    recorder.pass(seconds(86_400));
    recorder.tick();
    recorder.full(COOKIE, 5);
    recorder.close(COOKIE);
    let expected =
        [path_on("2026/12/31", COOKIE, 0), path_on("2027/01/01", COOKIE, 1), path_on("2027/01/02", COOKIE, 2)];
    assert_eq!(recorder.files(), expected);
    assert_eq!(recorder.archive(&expected[0]).serials(), [1, 2, 3]);
    assert_eq!(recorder.archive(&expected[1]).serials(), [4]);
    assert_eq!(recorder.archive(&expected[2]).serials(), [5]);
    let starts: Vec<_> = expected.iter().map(|file| recorder.archive(file).metadata.start_time).collect();
    assert!(starts.iter().all(|start| start.to_rfc3339() == "2026-12-31T23:55:00+00:00"), "{starts:?}");
}

#[test]
fn memory_is_kept_by_writing_the_oldest_ahead_of_time() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = config();
    config.memory_limit = 40 << 10;
    let mut recorder = Recorder::with(dir.path(), config);
    for cookie in 1..=100 {
        recorder.full(cookie, 1);
    }
    let on_disk = recorder.partials().len();
    assert!((40..60).contains(&on_disk), "{on_disk}");
    assert_eq!((recorder.lost(), recorder.counters.records_written.get()), (0, on_disk as u64));
    let newest = recorder.partials().pop().expect("some");
    let expected = format!("{PREFIX}_{on_disk:016X}.00000.jsonl.zst.partial");
    assert_eq!(newest.file_name().and_then(|name| name.to_str()), Some(expected.as_str()), "the oldest went first");
}
