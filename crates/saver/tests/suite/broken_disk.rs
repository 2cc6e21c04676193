//! Directories and files that vanish, turn into something else or refuse: each a counted error, never the end.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

/// A recorder whose connections 1 to `connections` have a file in progress, with record 0 in it.
fn recording(output: &Path, connections: u64) -> Recorder {
    let mut recorder = Recorder::new(output);
    for cookie in 1..=connections {
        recorder.full(cookie, 0);
    }
    recorder.pass(seconds(10));
    recorder.tick();
    assert_eq!(recorder.partials().len() as u64, connections);
    recorder
}

fn second_later(recorder: &mut Recorder) {
    recorder.pass(seconds(1));
    recorder.tick();
}

#[test]
fn a_vanished_file_costs_what_was_in_it_and_delays_nobody() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 50);
    for partial in recorder.partials() {
        fs::remove_file(partial).expect("is there");
    }
    for cookie in 1..=50 {
        recorder.full(cookie, 1);
    }
    recorder.pass(seconds(10));
    recorder.tick();
    assert_eq!(recorder.counters.records_written.get(), 100, "all new files are begun in one tick");
    assert_eq!(recorder.errors("append"), 50);
    for cookie in 1..=50 {
        recorder.close(cookie);
        assert_eq!(recorder.serials(cookie), [1]);
    }
    assert_eq!(recorder.saver.connections(), 0);
}

#[test]
fn a_file_that_vanished_before_its_close_ends_its_connection_all_the_same() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 50);
    for partial in recorder.partials() {
        fs::remove_file(partial).expect("is there");
    }
    (1..=50).for_each(|cookie| recorder.close(cookie));
    assert_eq!((recorder.saver.connections(), recorder.errors("finish")), (0, 50));
    assert!(recorder.files().is_empty());
}

#[test]
fn a_spool_directory_that_vanished_is_made_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 3);
    fs::remove_dir_all(dir.path()).expect("removes");
    for cookie in 1..=4 {
        recorder.full(cookie, 1);
        recorder.close(cookie);
        assert_eq!(recorder.serials(cookie), [1]);
    }
    assert_eq!((recorder.saver.connections(), recorder.lost()), (0, 0));
}

#[test]
fn a_file_that_was_cut_is_left_to_the_next_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 1);
    let whole = fs::metadata(&recorder.partials()[0]).expect("is there").len();
    recorder.full(1, 1);
    recorder.pass(seconds(10));
    recorder.tick();
    fs::OpenOptions::new().write(true).open(&recorder.partials()[0]).expect("opens").set_len(whole + 5).expect("cuts");
    recorder.full(1, 2);
    recorder.close(1);
    assert_eq!((recorder.files(), recorder.errors("append")), (vec![path(1, 1)], 1));
    let error = recorder.saver.take_error().expect("there was one").to_string();
    assert!(error.contains("shorter"), "{error}");
    drop(recorder);
    assert_eq!(recover(&open_spool(dir.path())).finished, 1);
    assert_eq!(Recorder::new(dir.path()).serials(1), [0, 2]);
}

/// The directory goes and comes back, as a mount may, with files of the same names in it.
#[test]
fn a_spool_directory_that_comes_back_costs_no_finished_frame() {
    for (before, away) in [(8, 2), (2, 8)] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut recorder = Recorder::new(dir.path());
        let mut serial = 0;
        let mut record_for = |recorder: &mut Recorder, times: usize| {
            for _ in 0..times {
                recorder.full(1, serial);
                serial += 1;
                recorder.pass(seconds(10));
                recorder.tick();
            }
        };
        record_for(&mut recorder, before);
        let [here, elsewhere] = [".spool", "elsewhere"].map(|name| dir.path().join(name));
        fs::rename(&here, &elsewhere).expect("renames");
        record_for(&mut recorder, away);
        fs::remove_dir_all(&here).expect("removes");
        fs::rename(&elsewhere, &here).expect("renames");
        record_for(&mut recorder, 3);
        recorder.close(1);
        drop(recorder);
        recover(&open_spool(dir.path()));
        let recorder = Recorder::new(dir.path());
        let files = recorder.files();
        for file in &files {
            frames(&fs::read(dir.path().join(file)).expect("is there"));
        }
        assert_zstd_accepts(dir.path(), &files);
        let expected: Vec<u32> = (0..before as u32).chain((before + away) as u32..serial).collect();
        let mut serials = recorder.serials(1);
        serials.sort_unstable();
        assert_eq!(serials, expected, "all but what was in the directory that is gone");
    }
}

/// Making it again then says "exists", which is not "the name is taken".
#[test]
fn a_spool_directory_that_becomes_a_link_to_nowhere_is_waited_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let [spool, away] = [".spool", "away"].map(|name| dir.path().join(name));
    fs::rename(&spool, &away).expect("renames");
    symlink("nowhere", &spool).expect("links");
    recorder.full(1, 0);
    recorder.close(1);
    assert_eq!((recorder.errors("create"), recorder.saver.connections()), (1, 1));
    fs::remove_file(&spool).expect("is there");
    fs::rename(&away, &spool).expect("renames");
    second_later(&mut recorder);
    assert_eq!(recorder.files(), [path(1, 0)]);
}

#[test]
fn a_name_that_cannot_be_made_holds_up_nobody() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let dangling = dir.path().join(format!(".spool/{PREFIX}_0000000000000001.00000.jsonl.zst.partial"));
    symlink("nowhere", dangling).expect("links");
    (1..=3).for_each(|cookie| recorder.full(cookie, 0));
    recorder.pass(seconds(10));
    recorder.tick();
    (1..=3).for_each(|cookie| recorder.close(cookie));
    assert_eq!(recorder.files(), [path(1, 1), path(2, 0), path(3, 0)]);
}

/// What a bad block does, without one: this file cannot be written any more, others can.
#[test]
fn a_file_that_fails_is_left_and_another_begun_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 2);
    let partial = recorder.partials().remove(0);
    fs::remove_file(&partial).expect("is there");
    fs::create_dir(&partial).expect("creates");
    for cookie in 1..=2 {
        recorder.full(cookie, 1);
    }
    recorder.pass(seconds(10));
    recorder.tick();
    assert_eq!((recorder.counters.records_written.get(), recorder.errors("append")), (4, 1));
    recorder.finish_all();
    assert_eq!(recorder.files(), [path(1, 1), path(2, 0)]);
    assert_eq!(recorder.archive(&path(1, 1)).serials(), [1]);
}

#[test]
fn a_date_tree_that_refuses_keeps_files_in_the_spool_until_it_does_not() {
    for in_the_way in ["file", "link"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut recorder = recording(dir.path(), 3);
        let year = dir.path().join("2026");
        match in_the_way {
            "file" => fs::write(&year, "").expect("writes"),
            _ => symlink("not-mounted", &year).expect("links"),
        }
        recorder.close(1);
        recorder.close(2);
        assert_eq!((recorder.saver.connections(), recorder.errors("finish")), (3, 1));
        let error = recorder.saver.take_error().expect("there was one").to_string();
        assert!(error.contains("cannot finish") && error.contains("2026/03/09"), "{error}");
        for second in 1..=20 {
            recorder.full(3, second);
            second_later(&mut recorder);
        }
        assert!(recorder.counters.records_written.get() >= 3 + 9, "recording goes on");
        fs::remove_file(&year).expect("is there");
        second_later(&mut recorder);
        assert_eq!(recorder.files(), [path(1, 0), path(2, 0)], "{in_the_way}");
        recorder.close(3);
        assert_eq!(recorder.serials(3), (0..=20).collect::<Vec<_>>());
    }
}

#[test]
fn a_day_that_refuses_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 1);
    fs::create_dir_all(dir.path().join("2026/03")).expect("creates");
    fs::write(dir.path().join("2026/03/09"), "in the way").expect("writes");
    recorder.close(1);
    recorder.time = "2026-03-10T00:00:00Z".parse().expect("a time");
    recorder.full(2, 0);
    recorder.close(2);
    assert_eq!(recorder.saver.connections(), 1);
    assert_eq!(recorder.files(), ["2026/03/09".to_owned(), path_on("2026/03/10", 2, 0)]);
}

#[test]
fn a_connection_that_lives_on_after_a_close_that_failed_is_still_rotated() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    fs::write(dir.path().join("2026"), "in the way").expect("writes");
    recorder.full(1, 0);
    recorder.close(1);
    assert_eq!((recorder.partials().len(), recorder.saver.connections()), (1, 1));
    recorder.full(1, 1);
    fs::remove_file(dir.path().join("2026")).expect("is there");
    recorder.pass(seconds(10));
    recorder.tick();
    assert_eq!((recorder.serials(1), recorder.saver.connections()), (vec![0, 1], 1), "it is not closed any more");
    recorder.full(1, 2);
    recorder.pass(seconds(10));
    recorder.tick();
    recorder.pass(seconds(590));
    recorder.tick();
    assert_eq!(recorder.files(), [path(1, 0), path(1, 1)]);
}

#[test]
fn a_spool_directory_replaced_by_a_file_stops_nothing_for_good() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 2);
    let [spool, away] = [".spool", ".away"].map(|name| dir.path().join(name));
    fs::rename(&spool, &away).expect("renames");
    fs::write(&spool, "").expect("writes");
    recorder.full(1, 1);
    recorder.full(3, 1);
    recorder.close(1);
    recorder.pass(seconds(10));
    recorder.tick();
    recorder.close(2);
    assert_eq!(recorder.counters.records_written.get(), 2);
    assert!(recorder.errors("create") >= 1);
    fs::remove_file(&spool).expect("is there");
    fs::rename(&away, &spool).expect("renames");
    second_later(&mut recorder);
    recorder.finish_all();
    assert_eq!((recorder.counters.records_written.get(), recorder.lost()), (4, 0));
    drop(recorder);
    recover(&open_spool(dir.path()));
    let recorder = Recorder::new(dir.path());
    assert_eq!((recorder.serials(1), recorder.serials(2), recorder.serials(3)), (vec![0, 1], vec![0], vec![1]));
}

/// Says to this test that it runs alone, in a process whose descriptors it may use up.
const ALONE: &str = "SAVER_TEST_ALONE";

#[test]
fn without_descriptors_records_wait() {
    if env::var_os(ALONE).is_none() {
        let program = env::current_exe().expect("has one");
        let name = concat!(module_path!(), "::without_descriptors_records_wait");
        let name = name.split_once("::").expect("the crate first").1;
        let done = Command::new(program).args([name, "--exact"]).env(ALONE, "1").output().expect("starts");
        let text = String::from_utf8_lossy(&done.stdout);
        return assert!(done.status.success() && text.contains("1 passed"), "{text}");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 2);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("lowers");
    for cookie in 1..=3 {
        recorder.full(cookie, 1);
        recorder.close(cookie);
    }
    recorder.tick();
    assert_eq!((recorder.saver.connections(), recorder.lost()), (3, 0));
    let error = recorder.saver.take_error().expect("there was one").to_string();
    assert!(error.contains("cannot append") && error.contains("Too many open files"), "{error}");
    setrlimit(Resource::Nofile, limit).expect("raises");
    second_later(&mut recorder);
    assert_eq!(recorder.saver.connections(), 0);
    assert_eq!(recorder.files(), [path(1, 0), path(2, 0), path(3, 0)], "into the files they belong to");
    assert_eq!((recorder.serials(1), recorder.serials(3)), (vec![0, 1], vec![1]));
}

/// What an EIO leaves that strikes the rename and the removal after it.
#[test]
fn a_file_left_where_files_are_made_is_in_nobodys_way() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 1);
    let nursery = fs::read_dir(dir.path().join(".spool/new")).expect("is there").next().expect("one").expect("reads");
    for number in 0..3 {
        let left = format!("{PREFIX}_0000000000000002.00000.jsonl.zst.partial.{number}");
        fs::write(nursery.path().join(left), "torn").expect("writes");
    }
    (2..=50).for_each(|cookie| recorder.full(cookie, 0));
    recorder.pass(seconds(10));
    for _ in 0..5 {
        second_later(&mut recorder);
    }
    assert_eq!(recorder.partials().len(), 50);
}

/// A file stands where a day's directory should be.
fn block(output: &Path, day: &str) {
    let day = output.join(day);
    fs::create_dir_all(day.parent().expect("has one")).expect("creates");
    fs::write(day, "in the way").expect("writes");
}

#[test]
fn a_day_that_takes_no_files_holds_up_no_other() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    (1..=100).for_each(|cookie| recorder.full(cookie, 0));
    recorder.time += chrono::TimeDelta::days(1);
    (101..=200).for_each(|cookie| recorder.full(cookie, 0));
    recorder.pass(seconds(10));
    recorder.tick();
    block(dir.path(), "2026/03/09");
    (1..=50).for_each(|cookie| recorder.close(cookie));
    (101..=150).for_each(|cookie| recorder.close(cookie));
    assert_eq!(recorder.files().len(), 1 + 50, "those of the second day");
    recorder.pass(seconds(600));
    recorder.tick();
    assert_eq!(recorder.files().len(), 1 + 100, "the old ones of the second day, too");
    assert!(recorder.errors("finish") < 5, "not each of them is tried");
    fs::remove_file(dir.path().join("2026/03/09")).expect("is there");
    second_later(&mut recorder);
    assert_eq!((recorder.files().len(), recorder.partials().len()), (200, 0), "the first that goes takes all along");
}

#[test]
fn at_the_end_everything_is_written_though_the_date_tree_takes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    (1..=500).for_each(|cookie| recorder.full(cookie, 0));
    block(dir.path(), "2026/03/09");
    recorder.finish_all();
    assert_eq!((recorder.lost(), recorder.partials().len(), recorder.errors("finish")), (0, 500, 1));
}

#[test]
fn what_a_failed_attempt_left_behind_the_frames_is_cut_off_at_the_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 1);
    let mut partial = fs::OpenOptions::new().append(true).open(&recorder.partials()[0]).expect("opens");
    std::io::Write::write_all(&mut partial, b"torn").expect("writes");
    recorder.close(1);
    assert_zstd_accepts(dir.path(), &recorder.files());
    assert_eq!(frames(&fs::read(dir.path().join(path(1, 0))).expect("is there")).len(), 1);
}

#[test]
fn a_lock_that_was_removed_is_taken_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = recording(dir.path(), 1);
    fs::remove_file(dir.path().join(".spool/lock")).expect("is there");
    second_later(&mut recorder);
    let second = saver::Spool::open(dir.path(), &dir.path().join(".spool"));
    assert!(matches!(second, Err(saver::OpenError::InUse { .. })));
    fs::remove_file(dir.path().join(".spool/lock")).expect("is there");
    let faster = open_spool(dir.path());
    second_later(&mut recorder);
    assert_eq!(recorder.errors("lock"), 1);
    drop(faster);
    second_later(&mut recorder);
    assert_eq!(recorder.errors("lock"), 1);
}
