//! A disk without room: records wait, the oldest are dropped and counted, and all goes on when there is room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::mount::{Mounted, tmpfs};
use crate::support::*;

const SIZE: usize = 1 << 20;

/// A file system of one mebibyte. Fields drop in order: unmounted, then removed.
struct SmallDisk {
    _mounted: Mounted,
    dir: TempDir,
}

impl SmallDisk {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Some(Self { _mounted: tmpfs(dir.path(), SIZE)?, dir })
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("output")
    }

    fn filler(&self) -> PathBuf {
        self.dir.path().join("filler")
    }

    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("creates");
        while filler.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.filler()).expect("is there");
    }
}

fn assert_sound(output: &Path, recorder: &Recorder) {
    assert!(recorder.partials().is_empty());
    let files = files(output);
    assert_zstd_accepts(output, &files);
    for file in files {
        frames(&fs::read(output.join(file)).expect("reads"));
    }
}

#[test]
fn records_wait_for_room_and_then_are_all_written() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut recorder = Recorder::new(&disk.output());
    for cookie in 1..=3 {
        recorder.full(cookie, 0);
    }
    recorder.pass(seconds(10));
    recorder.tick();
    disk.fill();

    let last = 20 * 24;
    for serial in 1..=last {
        for cookie in 1..=4 {
            recorder.full(cookie, serial);
        }
        if serial % 24 == 0 {
            recorder.pass(seconds(1));
            recorder.tick();
        }
    }
    let tried = recorder.errors("append") + recorder.errors("create");
    assert!((10..=20).contains(&tried), "once a second, and not for each connection: {tried}");
    let error = recorder.saver.take_error().expect("there was one").to_string();
    assert!(error.contains("cannot append") && error.contains(".partial: No space left on device"), "{error}");
    assert!(recorder.saver.take_error().is_none(), "taken");
    recorder.close(1);
    recorder.close(4);
    assert_eq!(recorder.saver.connections(), 4, "those that ended wait to be finished");
    assert_eq!((recorder.counters.records_written.get(), recorder.lost()), (3, 0));
    assert_eq!(recorder.partials().len(), 3, "attempts leave nothing behind");

    disk.free();
    recorder.tick();
    assert_eq!(recorder.saver.connections(), 4, "the second is not over");
    recorder.pass(seconds(1));
    recorder.tick();
    assert_eq!(recorder.saver.connections(), 2);
    assert_eq!(recorder.files(), [path(1, 0), path(4, 0)]);
    recorder.finish_all();
    for cookie in 1..=3 {
        assert_eq!(recorder.serials(cookie), (0..=last).collect::<Vec<_>>());
    }
    assert_eq!(recorder.serials(4), (1..=last).collect::<Vec<_>>());
    assert_eq!((recorder.counters.records_written.get(), recorder.lost()), (3 + 4 * u64::from(last), 0));
    assert_sound(&disk.output(), &recorder);
}

#[test]
fn beyond_the_memory_limit_the_oldest_are_dropped_and_counted() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut config = config();
    config.memory_limit = 40_000;
    let mut recorder = Recorder::with(&disk.output(), config);
    disk.fill();

    let taken = 400;
    for cookie in 1..=taken {
        recorder.full(cookie, 0);
        if cookie % 2 == 0 {
            recorder.close(cookie);
        }
        recorder.pass(seconds(1));
        recorder.tick();
    }
    let counters = &recorder.counters;
    assert_eq!((counters.records.get(), counters.records_written.get()), (taken, 0));
    assert_eq!(counters.records_lost.with_label_values(&["memory_limit"]).get(), recorder.lost());
    let kept = taken - recorder.lost();
    // A message takes 356 bytes, and what is known of it as much again.
    assert!((45..=56).contains(&kept), "{kept}");
    let ended = recorder.saver.connections() as u64 - 200;
    assert_eq!(ended, kept.div_ceil(2), "those that ended and have nothing left are forgotten");

    disk.free();
    recorder.pass(seconds(1));
    recorder.tick();
    recorder.finish_all();
    assert_eq!(recorder.counters.records_written.get(), kept);
    let newest: Vec<String> = (taken - kept + 1..=taken).map(|cookie| path(cookie, 0)).collect();
    assert_eq!(recorder.files(), newest, "under SEQ 0, however often it was tried");
    assert_sound(&disk.output(), &recorder);
}

#[test]
fn frames_grow_while_they_wait_and_stay_sound() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut recorder = Recorder::new(&disk.output());
    disk.fill();
    for serial in 0..1000 {
        recorder.full(1, serial);
    }
    assert_eq!(recorder.errors("create"), 1, "after the first attempt nothing is tried for a second");
    disk.free();
    recorder.pass(seconds(1));
    recorder.full(1, 1000);
    assert_eq!(recorder.counters.records_written.get(), 1001);
    recorder.close(1);
    assert_eq!(recorder.serials(1), (0..=1000).collect::<Vec<_>>());
    assert_sound(&disk.output(), &recorder);
}

#[test]
fn a_frame_that_fits_only_in_part_leaves_no_part() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut recorder = Recorder::new(&disk.output());
    let mut serial = 0;
    // Some 100 KiB a frame: the disk is full within a frame, without any filler.
    while recorder.errors("append") + recorder.errors("create") == 0 {
        recorder.full(1, serial);
        serial += 1;
    }
    let len = fs::metadata(recorder.partials().pop().expect("one")).expect("is there").len();
    assert_eq!(len, recorder.counters.bytes_compressed.get(), "cut back to its whole frames");
    recorder.finish_all();
    let lost = recorder.lost();
    assert!(lost > 0 && recorder.counters.records_written.get() + lost == u64::from(serial));
    drop(recorder);
    let recovery = recover(&open_spool(&disk.output()));
    assert_eq!((recovery.finished, recovery.bytes_cut), (1, 0), "{recovery:?}");
    let recorder = Recorder::new(&disk.output());
    assert_eq!(recorder.serials(1), (0..serial - lost as u32).collect::<Vec<_>>());
    assert_sound(&disk.output(), &recorder);
}

#[test]
fn ending_on_a_full_disk_counts_what_is_lost() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut recorder = Recorder::new(&disk.output());
    recorder.full(1, 0);
    recorder.pass(seconds(10));
    recorder.tick();
    fs::create_dir_all(disk.output().join("2026/03/09")).expect("creates");
    disk.fill();
    for cookie in 1..=20 {
        // More than may fit behind what is there, for files grow by whole pages.
        (1..=20).for_each(|serial| recorder.full(cookie, serial));
    }
    recorder.close(20);
    recorder.finish_all();
    assert_eq!(recorder.counters.records_lost.with_label_values(&["shutdown"]).get(), 400);
    assert_eq!(recorder.saver.connections(), 0);
    let counters = &recorder.counters;
    assert_eq!(counters.records.get(), counters.records_written.get() + recorder.lost());
    drop(recorder);
    // What was on disk before is not lost: the next start finishes it.
    disk.free();
    assert_eq!(recover(&open_spool(&disk.output())).finished, 1);
    assert_eq!(Archive::read(&disk.output().join(path(1, 0))).serials(), [0]);
}

#[test]
fn finished_files_get_their_place_though_a_frame_waits_for_room() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut recorder = Recorder::new(&disk.output());
    for cookie in 1..=21 {
        recorder.full(cookie, 0);
    }
    recorder.pass(seconds(10));
    recorder.tick();
    recorder.close(21); // The day's directory is there.
    disk.fill();
    for serial in 0..1000 {
        recorder.full(100, serial);
    }
    for cookie in 1..=20 {
        recorder.close(cookie);
    }
    assert!(recorder.errors("create") + recorder.errors("append") > 0);
    assert_eq!(recorder.files().len(), 21, "a rename needs none");
}

/// The day of a file is that of its first record.
#[test]
fn a_file_whose_records_were_dropped_is_not_the_one_that_the_next_record_begins() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut config = config();
    config.memory_limit = 3_000;
    let mut recorder = Recorder::with(&disk.output(), config);
    disk.fill();
    recorder.full(1, 0);
    for cookie in 2..=20 {
        recorder.full(cookie, 0);
    }
    recorder.pass(seconds(12 * 3600));
    disk.free();
    recorder.full(1, 1);
    recorder.close(1);
    assert!(recorder.files().contains(&path_on("2026/03/10", 1, 0)), "{:?}", recorder.files());
}
