//! A second run in the same boot goes on where the first one ended, and overwrites nothing.

use std::collections::HashSet;
use std::fs;

use crate::support::*;

/// SEQ that a saver gives to the first file of `cookie`, on a later day than all that is there.
fn next_sequence(output: &std::path::Path, cookie: u64) -> u32 {
    let mut recorder = Recorder::new(output);
    recorder.time = "2026-03-20T00:00:00Z".parse().expect("a time");
    recorder.saver.continue_sequences(&HashSet::from([cookie]));
    recorder.full(cookie, 99);
    recorder.close(cookie);
    let day = recorder.files().into_iter().find(|file| file.starts_with("2026/03/20")).expect("was written");
    let metadata = recorder.archive(&day).metadata;
    fs::remove_file(output.join(&day)).expect("is there");
    assert_eq!(day, path_on("2026/03/20", cookie, metadata.sequence as u32));
    metadata.sequence as u32
}

fn touch(output: &std::path::Path, file: &str) {
    let path = output.join(file);
    fs::create_dir_all(path.parent().expect("has one")).expect("creates");
    fs::write(path, "x").expect("writes");
}

#[test]
fn the_sequence_goes_on_from_files_of_any_day_of_this_boot() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    assert_eq!(next_sequence(output, 1), 0);
    touch(output, &path_on("2026/03/02", 1, 4));
    touch(output, &path_on("2026/03/05", 1, 2));
    touch(output, &path_on("2026/03/05", 2, 8));
    assert_eq!(next_sequence(output, 1), 5);
    assert_eq!(next_sequence(output, 2), 9);
    assert_eq!(next_sequence(output, 3), 0);
    touch(output, &path_on("2026/03/01", 3, 0));
    assert_eq!(next_sequence(output, 3), 1, "the day of the boot counts");
    touch(output, &path_on("2026/02/28", 4, 17));
    assert_eq!(next_sequence(output, 4), 0, "a day before the boot does not");
}

#[test]
fn names_that_are_of_others_or_of_nobody_count_for_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    for junk in [
        "2026/03/05/other_1767000000_unsafe_0000000000000001.00007.jsonl.zst".to_owned(),
        format!("2026/03/05/{PREFIX}_0000000000000001.00007.jsonl"),
        format!("2026/03/05/{PREFIX}_0000000000000001.7.jsonl.zst"),
        format!("2026/03/05/{PREFIX}_0000000000000001.4294967295.jsonl.zst"),
        format!("2026/03/05/{PREFIX}_0000000000000001.99999999999.jsonl.zst"),
        format!("2026/03/05/x{PREFIX}_0000000000000001.00007.jsonl.zst"),
        format!("2026/13/05/{PREFIX}_0000000000000001.00007.jsonl.zst"),
        format!("2026/03/aa/{PREFIX}_0000000000000001.00007.jsonl.zst"),
        format!("2026/03/{PREFIX}_0000000000000001.00007.jsonl.zst"),
        "2026/notes".to_owned(),
        "2027".to_owned(),
    ] {
        touch(output, &junk);
    }
    assert_eq!(next_sequence(output, 1), 0);
}

#[test]
fn a_leftover_in_the_spool_counts_whether_or_not_it_could_be_finished() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut first = Recorder::new(dir.path());
    first.full(1, 1);
    first.pass(seconds(10));
    first.tick();
    let partial = first.partials().pop().expect("one");
    drop(first);

    let mut second = Recorder::new(dir.path());
    second.saver.continue_sequences(&HashSet::from([1]));
    second.full(1, 2);
    second.close(1);
    assert_eq!(second.files(), [path(1, 1)]);
    assert!(partial.exists(), "was not recovered, so it waits");
    drop(second);

    let spool = open_spool(dir.path());
    assert_eq!(recover(&spool).finished, 1);
    let third = Recorder::on(dir.path(), spool, config());
    assert_eq!(third.serials(1), [1, 2]);
}

#[test]
fn two_runs_on_one_day_never_share_a_name_even_if_nobody_asks_for_the_sequences() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for run in 0..3 {
        let mut recorder = Recorder::new(dir.path());
        recorder.full(1, run);
        recorder.close(1);
    }
    let recorder = Recorder::new(dir.path());
    assert_eq!(recorder.files(), [path(1, 0), path(1, 1), path(1, 2)]);
    assert_eq!(recorder.serials(1), [0, 1, 2]);
    for sequence in 0..3 {
        assert_eq!(recorder.archive(&path(1, sequence)).metadata.sequence, i64::from(sequence));
    }
}

#[test]
fn a_connection_that_comes_back_after_its_close_takes_the_next_name() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(1, 1);
    recorder.close(1);
    recorder.close(1);
    recorder.full(1, 2);
    recorder.close(1);
    assert_eq!(recorder.files(), [path(1, 0), path(1, 1)]);
}

#[test]
fn a_name_taken_behind_our_back_is_left_alone_and_the_next_one_used() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(1, 1);
    recorder.pass(seconds(10));
    recorder.tick();
    touch(dir.path(), &path(1, 0));
    touch(dir.path(), &path(1, 1));
    recorder.full(1, 2);
    recorder.close(1);
    assert_eq!(fs::read(dir.path().join(path(1, 0))).expect("is there"), b"x");
    assert_eq!(recorder.archive(&path(1, 2)).serials(), [1, 2]);
    assert_eq!((recorder.errors("name_taken"), recorder.partials().len()), (2, 0));
}

#[test]
fn a_name_taken_after_a_failure_is_passed_over_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(1, 1);
    recorder.pass(seconds(10));
    recorder.tick();
    touch(dir.path(), "2026/03/09");
    recorder.close(1);
    assert_eq!((recorder.errors("finish"), recorder.saver.connections()), (1, 1));
    fs::remove_file(dir.path().join("2026/03/09")).expect("is there");
    touch(dir.path(), &path(1, 0));
    recorder.pass(seconds(1));
    recorder.tick();
    assert_eq!((recorder.archive(&path(1, 1)).serials(), recorder.partials().len()), (vec![1], 0));
    assert_eq!(recorder.saver.connections(), 0);
}
