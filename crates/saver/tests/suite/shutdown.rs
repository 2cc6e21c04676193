//! The end of a run: nothing is lost on a sound disk, and it does not take long.

use std::time::Instant;

use inetdiag::Origin;
use saver::Record;

use crate::support::*;

#[test]
fn ending_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for cookie in 1..=200 {
        recorder.full(cookie, 0);
    }
    recorder.pass(seconds(10));
    recorder.tick();
    for cookie in 101..=300 {
        recorder.full(cookie, 1);
    }
    recorder.finish_all();
    let counters = &recorder.counters;
    assert_eq!((recorder.saver.connections(), recorder.partials().len()), (0, 0));
    assert_eq!((counters.records.get(), counters.records_written.get(), recorder.lost()), (400, 400, 0));
    assert_eq!((counters.files.get(), recorder.files().len()), (300, 300));
    assert_zstd_accepts(dir.path(), &recorder.files());
    for (cookie, serials) in [(1, vec![0]), (101, vec![0, 1]), (300, vec![1])] {
        assert_eq!(recorder.serials(cookie), serials);
    }
}

#[test]
fn a_saver_that_has_ended_can_begin_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.full(1, 0);
    recorder.finish_all();
    recorder.finish_all();
    recorder.full(1, 1);
    recorder.pass(seconds(10));
    recorder.tick();
    recorder.finish_all();
    assert_eq!(recorder.files(), [path(1, 0), path(1, 1)]);
    assert_eq!(recorder.serials(1), [0, 1]);
}

/// Descriptors may become free, or room, a moment later.
#[test]
fn what_the_disk_refused_is_tried_again_until_it_is_given_up() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for cookie in 1..=300 {
        recorder.full(cookie, 0);
    }
    let spool = dir.path().join(".spool");
    let away = dir.path().join("away");
    std::fs::rename(&spool, &away).expect("renames");
    std::fs::write(&spool, "in the way").expect("writes");
    assert_eq!(recorder.saver.finish_all(recorder.now, || true), 300);
    assert!(recorder.errors("create") < 150, "not each of them is tried");
    std::fs::remove_file(&spool).expect("is there");
    std::fs::rename(&away, &spool).expect("renames");
    assert_eq!(recorder.saver.finish_all(recorder.now, || true), 0);
    assert_eq!(recorder.lost(), 0);
}

#[test]
fn the_end_tells_of_the_connections_that_outlive_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for cookie in 1..=3 {
        recorder.full(cookie, 0);
    }
    recorder.pass(seconds(600));
    recorder.tick();
    recorder.full(1, 1);
    recorder.saver.close(2);
    recorder.saver.vanish(3);
    recorder.saver.finish_all(recorder.now, || true);
    let mut outlive = recorder.saver.give_up();
    outlive.sort_unstable();
    assert_eq!(outlive, [(1, 2), (3, 1)]);

    let mut next = Recorder::with(&dir.path().join("other"), config());
    next.saver.continue_noted(&outlive);
    next.saver.continue_sequences(&std::collections::HashSet::from([1]));
    next.full(1, 2);
    next.full(3, 0);
    next.finish_all();
    assert_eq!(next.files(), [path(1, 2), path(3, 1)], "although no file of theirs is there");
}

/// The time is printed, not asserted: it says more of the machine than of the code.
#[test]
fn ten_thousand_connections_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    for cookie in 1..=10_000 {
        recorder.full(cookie, 0);
        recorder.full(cookie, 1);
    }
    let started = Instant::now();
    recorder.finish_all();
    println!("10,000 connections ended in {:?}", started.elapsed());
    assert_eq!((recorder.counters.records_written.get(), recorder.counters.files.get()), (20_000, 10_000));
    assert_eq!(recorder.files().len(), 10_000);
}

#[test]
fn savers_that_share_a_spool_do_not_meet() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let spool = std::sync::Arc::new(open_spool(dir.path()));
    let counters = saver::Counters::default();
    let time = "2026-03-09T12:00:00Z".parse().expect("a time");
    let workers: Vec<_> = (0..4u64)
        .map(|worker| {
            let mut saver = saver::Saver::new(config(), spool.clone(), counters.clone()).expect("the level exists");
            std::thread::spawn(move || {
                let now = Instant::now();
                for cookie in (0..400).map(|number| number * 4 + worker + 1) {
                    saver.record(
                        Record {
                            message: Socket::full(cookie, 0).message(),
                            time,
                            origin: Origin::Poll(1),
                            streams: None,
                        },
                        now,
                    );
                    saver.close(cookie);
                }
                saver.tick(now, || true);
                saver.take_error()
            })
        })
        .collect();
    for worker in workers {
        assert!(worker.join().expect("ends").is_none());
    }
    assert_eq!(files(dir.path()).len(), 1600);
    assert_eq!(counters.files.get(), 1600);
}
