//! What is deleted, and what never is.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use saver::{Counters, Doomed, Limits, Retention};

use crate::support::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A file of 8 KiB, finished at noon of its day and so many seconds.
fn finished(output: &Path, day: &str, cookie: u64, seconds: u64) -> String {
    let name = path_on(day, cookie, 0);
    let path = output.join(&name);
    fs::create_dir_all(path.parent().expect("has one")).expect("creates");
    fs::write(&path, [7; 8192]).expect("writes");
    let noon: DateTime<Utc> = format!("{}T12:00:00Z", day.replace('/', "-")).parse().expect("a time");
    let time = std::time::SystemTime::from(noon) + Duration::from_secs(seconds);
    File::options().write(true).open(&path).expect("opens").set_modified(time).expect("is ours");
    name
}

fn now() -> DateTime<Utc> {
    "2026-03-09T18:00:00Z".parse().expect("a time")
}

/// Looks, and lists all that is due.
fn plan(retention: &mut Retention) -> Vec<Doomed> {
    retention.look(now());
    retention.due(now(), usize::MAX)
}

/// Sweeps until nothing is left to delete, and returns how many files were.
fn sweep(output: &Path, limits: Limits) -> usize {
    let mut retention = Retention::new(output, limits);
    let mut deleted = 0;
    loop {
        let doomed = plan(&mut retention);
        if doomed.is_empty() {
            return deleted;
        }
        for file in &doomed {
            retention.delete(file, now().date_naive()).expect("deletes");
        }
        deleted += doomed.len();
    }
}

fn room(output: &Path, name: &str) -> u64 {
    fs::metadata(output.join(name)).expect("is there").blocks() * 512
}

#[test]
fn the_oldest_go_until_the_rest_fits() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let by_age: Vec<String> = [
        ("2025/12/31", 9, 0),
        ("2026/03/08", 5, 60),
        ("2026/03/08", 3, 90),
        ("2026/03/09", 2, 0),
        ("2026/03/09", 1, 1),
    ]
    .map(|(day, cookie, seconds)| finished(output, day, cookie, seconds))
    .into();
    let one = room(output, &by_age[0]);
    let limit = |bytes| Limits { max_disk: Some(bytes), retain: None };
    assert_eq!(sweep(output, limit(5 * one)), 0, "all of it fits");
    assert_eq!(sweep(output, limit(5 * one - 1)), 1);
    let mut rest = by_age[1..].to_vec();
    rest.sort();
    assert_eq!(files(output), rest);
    assert!(!output.join("2025").exists(), "directories that are empty go, too");
    assert_eq!(sweep(output, limit(2 * one)), 2);
    assert_eq!(files(output), [by_age[4].as_str(), &by_age[3]], "the younger of today has the lower cookie");
    assert_eq!(sweep(output, limit(0)), 2);
    assert!(output.join("2026/03/09").exists(), "today's directory stays");
}

#[test]
fn what_is_too_old_goes_whatever_room_there_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    finished(output, "2026/02/27", 1, 0);
    let edge = finished(output, "2026/03/02", 2, 6 * 3600 - 1);
    let kept = finished(output, "2026/03/02", 3, 6 * 3600);
    let young = finished(output, "2026/03/09", 4, 0);
    let limits = Limits { max_disk: None, retain: Some(7 * DAY) };
    assert_eq!(sweep(output, limits), 2);
    assert!(!output.join(edge).exists());
    assert_eq!(files(output), [kept, young]);
}

#[test]
fn what_is_in_progress_or_of_others_stays() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let mut recorder = Recorder::new(output);
    recorder.full(1, 1);
    recorder.pass(seconds(10));
    recorder.tick();
    let others = [
        "2026/03/01/notes.txt",
        "2026/03/01/host_1_unsafe_0000000000000001.00000.jsonl",
        "2026/readme",
        "2026/13/01/x",
    ];
    for other in others {
        fs::create_dir_all(output.join(other).parent().expect("has one")).expect("creates");
        fs::write(output.join(other), [7; 8192]).expect("writes");
    }
    finished(output, "2026/03/01", 2, 0);
    let limits = Limits { max_disk: Some(0), retain: Some(Duration::from_secs(1)) };
    assert_eq!(sweep(output, limits), 1);
    assert!(others.iter().all(|other| output.join(other).exists()));
    assert_eq!(recorder.partials().len(), 1);
    recorder.close(1);
    assert_eq!(recorder.serials(1), [1]);
}

#[test]
fn what_was_added_or_taken_by_others_is_seen() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let first = finished(output, "2026/03/08", 1, 0);
    let one = room(output, &first);
    let mut retention = Retention::new(output, Limits { max_disk: Some(2 * one), retain: None });
    assert!(plan(&mut retention).is_empty());
    assert_eq!(retention.bytes(), one);
    for cookie in 2..=4 {
        finished(output, "2026/03/09", cookie, 0);
    }
    let doomed = plan(&mut retention);
    assert_eq!((retention.bytes(), doomed.len()), (4 * one, 2));
    fs::remove_file(output.join(first)).expect("is there");
    for file in &doomed {
        retention.delete(file, now().date_naive()).expect("that another was faster is no error");
    }
    assert_eq!(retention.bytes(), 2 * one);
    assert!(plan(&mut retention).is_empty());
}

#[test]
fn a_file_that_cannot_be_deleted_keeps_no_other() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let stuck = finished(output, "2026/03/01", 1, 0);
    let next = finished(output, "2026/03/02", 2, 0);
    let limits = Limits { max_disk: Some(0), retain: Some(7 * DAY) };
    let mut retention = Retention::new(output, limits);
    let doomed = plan(&mut retention);
    assert_eq!(doomed.len(), 2, "both are too old");
    // In place of the first there is now a directory.
    fs::remove_file(output.join(&stuck)).expect("is there");
    fs::create_dir(output.join(&stuck)).expect("creates");
    let error = retention.delete(&doomed[0], now().date_naive()).expect_err("is no file").to_string();
    assert!(error.contains("cannot delete") && error.contains(&stuck), "{error}");
    retention.delete(&doomed[1], now().date_naive()).expect("deletes");
    assert!(!output.join(next).exists());
}

#[test]
fn other_spellings_of_a_date_are_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let meant = finished(output, "2026/03/09", 1, 0);
    let one = room(output, &meant);
    let others = ["2026/3/09", "2026/3/01", "2026/03/2", "2026/+3/03", "2026/003/04", "02026/03/05", "+202/03/06"];
    let name = meant.rsplit('/').next().expect("has one");
    for other in others {
        fs::create_dir_all(output.join(other)).expect("creates");
        fs::copy(output.join(&meant), output.join(other).join(name)).expect("copies");
    }
    let limits = Limits { max_disk: Some(0), retain: Some(Duration::from_secs(1)) };
    let mut retention = Retention::new(output, limits);
    retention.look(now());
    assert_eq!(retention.bytes(), one);
    assert_eq!(sweep(output, limits), 1);
    assert!(!output.join(&meant).exists());
    assert!(others.iter().all(|other| output.join(other).join(name).exists()));
}

#[test]
fn what_savers_finish_between_looks_is_known_by_their_counters() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let counters = Counters::default();
    let first = finished(output, "2026/03/09", 1, 0);
    let one = room(output, &first);
    let limits = Limits { max_disk: Some(10 * one), retain: None };
    let mut retention = Retention::new(output, limits).counting(counters.clone());
    retention.look(now());
    for cookie in 2..=15 {
        finished(output, "2026/03/09", cookie, cookie);
        counters.files.inc();
        counters.file_bytes.inc_by(8192);
    }
    let doomed = retention.due(now(), usize::MAX);
    assert_eq!((retention.bytes(), doomed.len()), (15 * one, 5));
    for file in &doomed {
        retention.delete(file, now().date_naive()).expect("deletes");
    }
    // Two more go without another look: the list goes on.
    counters.files.inc_by(2);
    counters.file_bytes.inc_by(2 * 8192);
    let more = retention.due(now(), 1);
    assert_eq!((retention.bytes(), more.len()), (12 * one, 1));
    assert!(more.iter().all(|file| !doomed.contains(file)));
    retention.delete(&more[0], now().date_naive()).expect("deletes");
    // The two are not there, and a look tells.
    retention.look(now());
    assert_eq!((retention.bytes(), files(output).len()), (9 * one, 9));
    assert!(retention.due(now(), usize::MAX).is_empty());
}

#[test]
fn a_day_that_began_after_the_look_counts_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let counters = Counters::default();
    let mut retention = Retention::new(output, Limits { max_disk: Some(0), retain: None }).counting(counters.clone());
    retention.look(now());
    finished(output, "2026/03/09", 1, 0);
    counters.files.inc();
    counters.file_bytes.inc_by(8192);
    assert_eq!(retention.due(now(), usize::MAX).len(), 1);
}

#[test]
fn a_file_that_cannot_be_deleted_is_tried_again_when_there_are_no_others() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let stuck = finished(output, "2026/03/01", 1, 0);
    finished(output, "2026/03/01", 2, 1);
    let mut retention = Retention::new(output, Limits { max_disk: Some(0), retain: None });
    let doomed = plan(&mut retention);
    fs::remove_file(output.join(&stuck)).expect("is there");
    fs::create_dir(output.join(&stuck)).expect("creates");
    retention.delete(&doomed[0], now().date_naive()).expect_err("is no file");
    // Now it is one again, but its turn is over until all others are gone.
    fs::remove_dir(output.join(&stuck)).expect("is empty");
    finished(output, "2026/03/01", 1, 0);
    finished(output, "2026/03/01", 3, 2);
    retention.delete(&doomed[1], now().date_naive()).expect("deletes");
    let others = plan(&mut retention);
    assert_eq!(others.len(), 1);
    retention.delete(&others[0], now().date_naive()).expect("deletes");
    assert_eq!(files(output), [stuck]);
    assert!(plan(&mut retention).is_empty());
    assert_eq!(plan(&mut retention).len(), 1);
}

#[test]
fn an_older_file_that_comes_late_goes_first() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let limits = Limits { max_disk: None, retain: Some(Duration::from_secs(6 * 3600 - 2)) };
    for cookie in 1..=3 {
        finished(output, "2026/03/09", cookie, cookie);
    }
    let mut retention = Retention::new(output, limits);
    let doomed = plan(&mut retention);
    assert_eq!(doomed.len(), 1);
    retention.delete(&doomed[0], now().date_naive()).expect("deletes");
    let late = finished(output, "2026/03/09", 4, 0);
    let doomed = plan(&mut retention);
    assert_eq!(doomed.len(), 1);
    retention.delete(&doomed[0], now().date_naive()).expect("deletes");
    assert!(!output.join(late).exists());
    assert_eq!(files(output).len(), 2);
}

#[test]
fn new_files_beside_one_that_cannot_be_deleted_wait_for_the_next_look() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path();
    let counters = Counters::default();
    let stuck = finished(output, "2026/03/09", 1, 0);
    let limits = Limits { max_disk: Some(0), retain: None };
    let mut retention = Retention::new(output, limits).counting(counters.clone());
    let doomed = plan(&mut retention);
    fs::remove_file(output.join(&stuck)).expect("is there");
    fs::create_dir(output.join(&stuck)).expect("creates");
    retention.delete(&doomed[0], now().date_naive()).expect_err("is no file");
    assert!(retention.due(now(), usize::MAX).is_empty());
    finished(output, "2026/03/09", 2, 1);
    counters.files.inc();
    counters.file_bytes.inc_by(8192);
    assert!(retention.due(now(), usize::MAX).is_empty());
    assert_eq!(plan(&mut retention).len(), 1);
}
