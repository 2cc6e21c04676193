//! Files of many small frames become small files, and lose nothing by it.

use std::fs;

use crate::support::*;

const COOKIE: u64 = 0xC0;

/// So many frames, each of so many records.
fn write(recorder: &mut Recorder, frames: u32, records: u32) {
    for frame in 0..frames {
        (0..records).for_each(|record| recorder.full(COOKIE, frame * records + record));
        recorder.pass(seconds(10));
        recorder.tick();
    }
}

#[test]
fn small_frames_become_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    write(&mut recorder, 30, 3);
    let before = fs::read(&recorder.partials()[0]).expect("is there");
    assert_eq!(frames(&before).len(), 30);
    recorder.close(COOKIE);
    let after = fs::read(dir.path().join(path(COOKIE, 0))).expect("is there");
    assert_eq!(frames(&after).len(), 1);
    assert!(after.len() < before.len());
    let text = |bytes: &[u8]| zstd::decode_all(bytes).expect("decodes");
    assert_eq!(text(&after), text(&before));
    assert_eq!(recorder.counters.file_bytes.get(), after.len() as u64);
    assert!(fs::read_dir(dir.path().join(".spool/new")).is_ok_and(|made| made.count() <= 1), "nothing is left there");
    assert_zstd_accepts(dir.path(), &recorder.files());
}

#[test]
fn many_small_frames_become_few_of_full_size() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    write(&mut recorder, 40, 30);
    recorder.close(COOKIE);
    let bytes = fs::read(dir.path().join(path(COOKIE, 0))).expect("is there");
    assert_eq!(frames(&bytes).len(), 3, "of 670 KB of text");
    assert_eq!(recorder.serials(COOKIE), (0..1200).collect::<Vec<_>>());
}

#[test]
fn large_frames_are_left_as_they_are() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    write(&mut recorder, 5, 300);
    let before = fs::read(&recorder.partials()[0]).expect("is there");
    recorder.close(COOKIE);
    assert_eq!(fs::read(dir.path().join(path(COOKIE, 0))).expect("is there"), before);
}

#[test]
fn without_time_files_are_finished_as_they_are() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    write(&mut recorder, 5, 3);
    assert_eq!(recorder.saver.finish_all(recorder.now, || false), 0);
    let bytes = fs::read(dir.path().join(path(COOKIE, 0))).expect("is there");
    assert_eq!(frames(&bytes).len(), 5);
}

#[test]
fn what_cannot_be_written_anew_is_finished_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    write(&mut recorder, 5, 3);
    // In the way of the directory in which files are made.
    fs::remove_dir_all(dir.path().join(".spool/new")).expect("removes");
    fs::write(dir.path().join(".spool/new"), "").expect("writes");
    recorder.close(COOKIE);
    assert_eq!((recorder.errors("compact"), recorder.lost()), (1, 0));
    assert!(recorder.saver.take_error().expect("there was one").to_string().contains("cannot compact"));
    assert_eq!(recorder.serials(COOKIE), (0..15).collect::<Vec<_>>());
}

/// `kill -9` while a file is written anew leaves both: the one that is whole counts.
#[test]
fn what_a_killed_run_was_writing_anew_is_removed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    write(&mut recorder, 5, 3);
    let partial = recorder.partials().remove(0);
    let whole = fs::read(&partial).expect("is there");
    drop(recorder);
    let nursery = dir.path().join(".spool/new/0-0");
    fs::create_dir_all(&nursery).expect("creates");
    let made = nursery.join(format!("{}.7", partial.file_name().expect("has one").display()));
    fs::write(&made, &whole[..20]).expect("writes");
    let recovery = recover(&open_spool(dir.path()));
    assert!(recovery.errors.is_empty(), "{recovery:?}");
    assert_eq!((recovery.finished, made.exists()), (1, false));
    assert_eq!(fs::read(dir.path().join(path(COOKIE, 0))).expect("is there"), whole);
}
