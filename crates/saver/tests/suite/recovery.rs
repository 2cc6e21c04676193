//! What `kill -9`, power cuts and bad disks leave in the spool, and what the next start makes of it.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use inetdiag::ArchiveReader;
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use saver::Counters;

use crate::support::mount::tmpfs;
use crate::support::*;

/// A file in progress as a killed recorder leaves it.
struct Torn {
    bytes: Vec<u8>,
    /// Where each frame lies, and which records are in it.
    frames: Vec<(Range<usize>, Range<u32>)>,
}

/// One frame for each number, of so many records; their serial numbers count from 0.
fn torn(records_of_frames: &[u32]) -> Torn {
    torn_of(1, records_of_frames)
}

fn torn_of(cookie: u64, records_of_frames: &[u32]) -> Torn {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let mut torn = Torn { bytes: Vec::new(), frames: Vec::new() };
    let mut serials: Range<u32> = 0..0;
    for &records in records_of_frames {
        serials = serials.end..serials.end + records;
        serials.clone().for_each(|serial| recorder.full(cookie, serial));
        recorder.pass(seconds(10));
        recorder.tick();
        let start = torn.bytes.len();
        torn.bytes = fs::read(recorder.partials().pop().expect("one")).expect("reads");
        torn.frames.push((start..torn.bytes.len(), serials.clone()));
    }
    assert_eq!(frames(&torn.bytes).len(), records_of_frames.len());
    torn
}

impl Torn {
    fn frame(&self, number: usize) -> &[u8] {
        &self.bytes[self.frames[number].0.clone()]
    }

    /// Records of the frames of which this is true.
    fn serials(&self, is_meant: impl Fn(&Range<usize>) -> bool) -> Vec<u32> {
        self.frames.iter().filter(|(bytes, _)| is_meant(bytes)).flat_map(|(_, serials)| serials.clone()).collect()
    }

    fn with_damage(&self, at: usize, damage: u8) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[at] ^= damage;
        bytes
    }
}

fn leftover(output: &Path, cookie: u64) -> PathBuf {
    output.join(format!(".spool/{PREFIX}_{cookie:016X}.00000.jsonl.zst.partial"))
}

fn set_aside(output: &Path, cookie: u64) -> PathBuf {
    output.join(format!(".spool/{PREFIX}_{cookie:016X}.00000.jsonl.zst.damaged"))
}

fn leave(output: &Path, cookie: u64, bytes: &[u8]) {
    let path = leftover(output, cookie);
    fs::create_dir_all(path.parent().expect("has one")).expect("creates");
    fs::write(path, bytes).expect("writes");
}

/// What became of a leftover.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// These records are in the archive.
    Finished(Vec<u32>),
    SetAside,
    Removed,
}

use Outcome::{Finished, Removed, SetAside};

/// Recovers all of `cases`, each as the leftover of a connection of its own, and reads back what each kept.
/// Records must be unchanged, files sound, what is set aside untouched, and each byte accounted for.
fn recover_all(cases: &[Vec<u8>]) -> Vec<Outcome> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (cookie, bytes) in (0..).zip(cases) {
        leave(dir.path(), cookie, bytes);
    }
    let counters = Counters::default();
    let recovery = saver::recover(&open_spool(dir.path()), &counters, || true);
    assert_zstd_accepts(dir.path(), &files(dir.path()));
    let mut kept = 0;
    let outcome = |(cookie, bytes): (u64, &Vec<u8>)| {
        let file = dir.path().join(path(cookie, 0));
        if set_aside(dir.path(), cookie).exists() {
            assert!(!file.exists());
            assert_eq!(&fs::read(set_aside(dir.path(), cookie)).expect("reads"), bytes);
            kept += bytes.len();
            return SetAside;
        }
        if !file.exists() {
            return Removed;
        }
        let published = fs::read(&file).expect("reads");
        frames(&published);
        kept += published.len();
        let archive = Archive::read(&file);
        for record in &archive.records {
            let expected = Socket::full(1, serial(record));
            assert_eq!(record.raw_idm.as_ref(), Some(expected.message().header()));
            assert_eq!(record.attributes.get(2), expected.message().attribute(2).map(|attribute| attribute.payload));
        }
        Finished(archive.serials())
    };
    let outcomes: Vec<Outcome> = (0..).zip(cases).map(outcome).collect();
    let count = |is_meant: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is_meant(outcome)).count() as u64;
    assert_eq!(recovery.finished, count(|outcome| matches!(outcome, Finished(_))));
    assert_eq!(recovery.removed, count(|outcome| *outcome == Removed));
    assert_eq!(recovery.damaged, count(|outcome| *outcome == SetAside));
    assert_eq!(recovery.errors.len() as u64, recovery.damaged, "{:?}", recovery.errors);
    assert_eq!(recovery.bytes_cut, (cases.iter().map(Vec::len).sum::<usize>() - kept) as u64);
    assert_eq!((counters.cut_bytes.get(), counters.files_damaged.get()), (recovery.bytes_cut, recovery.damaged));
    let in_spool = fs::read_dir(dir.path().join(".spool")).expect("is there");
    let names = in_spool.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    assert!(names.into_iter().all(|name| name == "lock" || name.ends_with(".damaged")));
    outcomes
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_frames() {
    let torn = torn(&[1, 3, 2, 1]);
    let cases: Vec<Vec<u8>> = (0..=torn.bytes.len()).map(|len| torn.bytes[..len].to_vec()).collect();
    for (len, outcome) in recover_all(&cases).into_iter().enumerate() {
        let whole = torn.serials(|frame| frame.end <= len);
        assert_eq!(outcome, if whole.is_empty() { Removed } else { Finished(whole) }, "{len}");
    }
}

#[test]
fn a_damaged_byte_costs_its_frame_and_forges_nothing() {
    let torn = torn(&[1, 3, 2]);
    let all = Finished(torn.serials(|_| true));
    for damage in [0x01, 0x80, 0xFF] {
        let cases: Vec<_> = (0..torn.bytes.len()).map(|at| torn.with_damage(at, damage)).collect();
        let mut harmless = 0;
        for (at, outcome) in recover_all(&cases).into_iter().enumerate() {
            if outcome == all {
                harmless += 1;
            } else if at < torn.frames[0].0.end {
                assert_eq!(outcome, SetAside, "byte {at}");
            } else {
                assert_eq!(outcome, Finished(torn.serials(|frame| !frame.contains(&at))), "byte {at}");
            }
        }
        // Where a reader may look away: the window size, for one.
        assert!(harmless <= 3 * 4, "{harmless} damaged bytes did no harm");
    }
}

#[test]
fn what_a_disk_appends_is_cut_off() {
    let torn = torn(&[2, 1]);
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 9];
    let tails: [&[u8]; 5] = [&[0], &[0; 4096], b"garbage", &torn.bytes[..20], &skippable];
    for outcome in recover_all(&tails.map(|tail| [&torn.bytes[..], tail].concat())) {
        assert_eq!(outcome, Finished(vec![0, 1, 2]));
    }
}

#[test]
fn a_frame_that_ends_inside_a_line_is_no_whole_frame() {
    let torn = torn(&[2]);
    let half = with_checksum([&b"{\"Timestamp\":"[..]]);
    assert_eq!(recover_all(&[[&torn.bytes[..], &half].concat(), half]), [Finished(vec![0, 1]), Removed]);
}

#[test]
fn a_frame_without_a_checksum_is_no_sound_frame() {
    let torn = torn(&[1, 1]);
    let unproven = zstd::encode_all(&b"{}\n"[..], 1).expect("compresses");
    let case = [torn.frame(0), &unproven, torn.frame(1)].concat();
    assert_eq!(recover_all(&[case]), [Finished(vec![0, 1])]);
}

/// Memory is bounded: a decoder keeps the window.
#[test]
fn a_frame_with_a_window_of_over_eight_mebibytes_is_no_sound_frame() {
    let torn = torn(&[1]);
    let with_window = |log| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("the level exists");
        encoder.include_checksum(true).and_then(|()| encoder.window_log(log)).expect("is known");
        encoder.write_all(&zstd::decode_all(&torn.bytes[..]).expect("decodes")).expect("compresses");
        encoder.finish().expect("compresses")
    };
    assert_eq!(recover_all(&[23, 24].map(with_window)), [Finished(vec![0]), Removed]);
}

/// Text as one frame, however much it is.
fn with_checksum<'a>(text: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("the level exists");
    encoder.include_checksum(true).expect("is known");
    text.into_iter().for_each(|part| encoder.write_all(part).expect("compresses"));
    encoder.finish().expect("compresses")
}

#[test]
fn what_is_sound_behind_damage_is_kept_as_it_was() {
    let torn = torn(&[1, 2, 3, 1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut bytes = torn.with_damage(torn.frames[1].0.start + 40, 1);
    bytes.extend_from_slice(b"torn");
    leave(dir.path(), 1, &bytes);
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.bytes_cut), (1, torn.frame(1).len() as u64 + 4));
    let published = fs::read(dir.path().join(path(1, 0))).expect("is there");
    assert_eq!(published, [torn.frame(0), torn.frame(2), torn.frame(3)].concat());
}

#[test]
fn frames_of_another_file_behind_damage_are_left_out() {
    let (torn, other) = (torn(&[1, 2]), torn_of(2, &[1, 1]));
    let case = [torn.frame(0), b"gap", &other.bytes, torn.frame(1), torn.frame(0), other.frame(1)].concat();
    assert_eq!(recover_all(&[case]), [Finished(vec![0, 1, 2])]);
}

#[test]
fn a_file_without_its_beginning_is_set_aside_and_the_error_says_how_to_read_it() {
    let torn = torn(&[1; 20]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let cases = [torn.with_damage(20, 1), torn.bytes[torn.frames[0].0.end..].to_vec()];
    for (cookie, case) in (1..).zip(&cases) {
        leave(dir.path(), cookie, case);
    }
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.removed, recovery.damaged, recovery.bytes_cut), (0, 0, 2, 0));
    for ((cookie, case), error) in (1..).zip(&cases).zip(&recovery.errors) {
        let (damaged, error) = (set_aside(dir.path(), cookie), error.to_string());
        assert_eq!(&fs::read(&damaged).expect("is there"), case);
        let (_, cure) = error.split_once("`tail -c +").expect("tells the cure");
        let (from, file) = cure.split_once(' ').expect("tells the file");
        assert!(file.starts_with(&format!("{} | csvtool`", damaged.display())), "{error}");
        let from: usize = from.parse().expect("a number");
        let behind = std::io::Cursor::new(case[from - 1..].to_vec());
        let records = ArchiveReader::sniff(behind).expect("opens").map(|line| serial(&line.expect("is sound")));
        assert!(records.eq(1..20));
    }
    let spool = open_spool(dir.path());
    assert!(spool.leftovers().is_empty(), "no later start looks at it");
}

#[test]
fn a_file_set_aside_replaces_no_other() {
    let torn = torn(&[1, 1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    for damage in [1, 2] {
        leave(dir.path(), 1, &torn.with_damage(20, damage));
        assert_eq!(recover(&open_spool(dir.path())).damaged, 1);
    }
    let second = dir.path().join(format!(".spool/{PREFIX}_0000000000000001.00001.jsonl.zst.damaged"));
    assert_eq!(fs::read(set_aside(dir.path(), 1)).expect("is there"), torn.with_damage(20, 1));
    assert_eq!(fs::read(second).expect("is there"), torn.with_damage(20, 2));
}

#[test]
fn a_file_damaged_in_each_frame_is_removed_and_its_bytes_counted() {
    let torn = torn(&[1, 1]);
    let mut bytes = torn.with_damage(torn.frames[1].0.start + 40, 1);
    bytes[40] ^= 1;
    assert_eq!(recover_all(&[bytes]), [Removed]);
}

#[test]
fn what_was_being_mended_when_an_earlier_run_was_killed_is_mended_again() {
    let torn = torn(&[1, 1, 1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mended = leftover(dir.path(), 1).with_extension("partial.mended");
    leave(dir.path(), 1, &torn.with_damage(torn.frames[1].0.start + 40, 1));
    fs::write(&mended, "half").expect("writes");
    assert_eq!(recover(&open_spool(dir.path())).finished, 1);
    assert_eq!(Archive::read(&dir.path().join(path(1, 0))).serials(), [0, 2]);
    assert!(!mended.exists());
}

#[test]
fn a_file_that_cannot_be_mended_for_lack_of_room_stays_as_it_was() {
    let torn = torn(&[300, 1, 300]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let Some(_mounted) = tmpfs(dir.path(), torn.bytes.len() * 3 / 2) else { return };
    let bytes = torn.with_damage(torn.frames[1].0.start + 40, 1);
    leave(dir.path(), 1, &bytes);
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.bytes_cut, recovery.errors.len()), (0, 0, 1), "{recovery:?}");
    assert_eq!(fs::read(leftover(dir.path(), 1)).expect("is there"), bytes);
    assert!(!leftover(dir.path(), 1).with_extension("partial.mended").exists());
}

#[test]
fn what_is_no_regular_file_is_reported_and_left() {
    let torn = torn(&[1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 3, &torn.bytes);
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, &torn.bytes).expect("writes");
    symlink(&elsewhere, leftover(dir.path(), 2)).expect("links");
    // Whoever opens it for reading waits for a writer.
    let fifo = leftover(dir.path(), 1);
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("makes a FIFO");
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.errors.len()), (1, 2), "{recovery:?}");
    for (error, cookie) in recovery.errors.iter().zip(1..) {
        let error = error.to_string();
        assert!(
            error.contains("no regular file") && error.contains(leftover(dir.path(), cookie).to_str().expect("UTF-8"))
        );
        assert!(fs::symlink_metadata(leftover(dir.path(), cookie)).is_ok());
    }
}

/// A file of 36 KiB, or so, with a gibibyte of text.
#[test]
fn memory_is_bounded_whatever_a_file_decodes_to() {
    let torn = torn(&[1]);
    let lines = zstd::decode_all(&torn.bytes[..]).expect("decodes");
    let bomb = with_checksum(std::iter::once(&lines[..]).chain(std::iter::repeat_n(&[b'\n'; 1 << 20][..], 1 << 10)));
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 1, &bomb);
    let spool = open_spool(dir.path());
    assert_eq!(recover(&spool).finished, 1);
    let status = fs::read_to_string("/proc/self/status").expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is there");
    let kib: u64 = peak.trim_end_matches("kB").trim().parse().expect("a number");
    assert!(kib < 200 << 10, "{kib} KiB, other tests' included");
    assert_eq!(fs::read(dir.path().join(path(1, 0))).expect("is there"), bomb);
}

#[test]
fn what_only_begins_like_a_frame_costs_little_time() {
    let torn = torn(&[1, 1]);
    // A frame header, and blocks that say "128 KiB of zeros" in four bytes.
    let begins = [&[0x28, 0xB5, 0x2F, 0xFD, 0b100, 0x58][..], &[0x02, 0x00, 0x10, 0x00].repeat(8 << 10)].concat();
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 1, &[torn.frame(0), b"gap", &begins.repeat(32), torn.frame(1)].concat());
    let asked = Cell::new(0);
    let go_on = || asked.replace(asked.get() + 1) < 1000;
    let recovery = saver::recover(&open_spool(dir.path()), &Counters::default(), go_on);
    assert_eq!((recovery.finished, recovery.left), (1, 0));
    assert_eq!(Archive::read(&dir.path().join(path(1, 0))).serials(), [0, 1]);
}

#[test]
fn a_file_given_up_at_any_point_is_as_it_was() {
    let torn = torn(&[300, 1, 300, 300, 300]);
    let bytes = torn.with_damage(torn.frames[1].0.start + 40, 1);
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 1, &bytes);
    for enough in 1.. {
        let asked = Cell::new(0);
        let go_on = || asked.replace(asked.get() + 1) < enough;
        let recovery = saver::recover(&open_spool(dir.path()), &Counters::default(), go_on);
        if recovery.finished == 1 {
            // Once for the file, and some times as it is looked at and as it is mended.
            assert!(enough > 5, "{enough}");
            break;
        }
        assert_eq!((recovery.left, recovery.errors.len(), recovery.bytes_cut), (1, 0, 0));
        assert_eq!(fs::read(leftover(dir.path(), 1)).expect("is there"), bytes);
        assert!(!leftover(dir.path(), 1).with_extension("partial.mended").exists());
    }
    assert_eq!(Archive::read(&dir.path().join(path(1, 0))).serials().len(), 1200);
}

/// A hole of a gibibyte, which is searched for frames.
#[test]
fn the_end_is_not_delayed_by_a_file_that_decodes_to_nothing() {
    let torn = torn(&[1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 1, &torn.bytes);
    let file = fs::OpenOptions::new().write(true).open(leftover(dir.path(), 1)).expect("opens");
    file.set_len(1 << 30).expect("grows");
    let asked = Cell::new(0);
    let go_on = || asked.replace(asked.get() + 1) < 3;
    let recovery = saver::recover(&open_spool(dir.path()), &Counters::default(), go_on);
    assert_eq!((recovery.finished, recovery.left, asked.get()), (0, 1, 4));
    assert_eq!(file.metadata().expect("is there").len(), 1 << 30);
}

#[test]
fn a_recovered_file_lies_under_the_day_of_its_first_record() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    recorder.time = "2026-03-09T23:59:55Z".parse::<DateTime<Utc>>().expect("a time");
    for serial in 0..3 {
        recorder.full(1, serial);
        recorder.pass(seconds(10));
        recorder.tick();
    }
    drop(recorder);
    assert_eq!(recover(&open_spool(dir.path())).finished, 1);
    assert_eq!(files(dir.path()), [path_on("2026/03/09", 1, 0)]);
}

#[test]
fn a_leftover_whose_name_is_taken_gets_the_next_one() {
    let torn = torn(&[1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let day = dir.path().join("2026/03/09");
    fs::create_dir_all(&day).expect("creates");
    for sequence in 0..2 {
        fs::write(dir.path().join(path(1, sequence)), "x").expect("writes");
    }
    leave(dir.path(), 1, &torn.bytes);
    assert_eq!(recover(&open_spool(dir.path())).finished, 1);
    assert_eq!(files(dir.path()), [path(1, 0), path(1, 1), path(1, 2)]);
    assert_eq!(fs::read(dir.path().join(path(1, 1))).expect("is there"), b"x");
    assert_eq!(fs::read(dir.path().join(path(1, 2))).expect("is there"), torn.bytes);
}

#[test]
fn what_does_not_bear_the_name_of_an_archive_stays_where_it_is() {
    let torn = torn(&[1]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let spool = dir.path().join(".spool");
    leave(dir.path(), 1, &torn.bytes);
    let junk = [
        "notes.partial".to_owned(),
        "core".to_owned(),
        ".partial".to_owned(),
        format!("{PREFIX}_0000000000000002.00000.jsonl.zst"),
        format!("{PREFIX}_0000000000000002.0.jsonl.zst.partial"),
    ];
    for name in &junk {
        fs::write(spool.join(name), &torn.bytes).expect("writes");
    }
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.removed, recovery.errors.len()), (1, 0, 0));
    assert_eq!(files(dir.path()), [path(1, 0)]);
    for name in &junk {
        assert_eq!(fs::read(spool.join(name)).expect("is there"), torn.bytes, "{name}");
    }
}

#[test]
fn what_cannot_be_finished_is_reported_and_waits() {
    let torn = torn(&[2]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 1, &torn.bytes);
    let directory = dir.path().join(format!(".spool/{PREFIX}_0000000000000002.00000.jsonl.zst.partial"));
    fs::create_dir(&directory).expect("creates");
    fs::write(dir.path().join("2026"), "in the way").expect("writes");
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.errors.len()), (0, 2));
    let texts: Vec<String> = recovery.errors.iter().map(ToString::to_string).collect();
    assert!(texts[0].contains("cannot finish") && texts[0].contains("2026/03/09"), "{texts:?}");
    assert!(texts[1].contains("cannot recover") && texts[1].contains("0002.00000.jsonl.zst.partial"), "{texts:?}");

    fs::remove_file(dir.path().join("2026")).expect("is there");
    assert_eq!(recover(&open_spool(dir.path())).finished, 1);
    assert_eq!(files(dir.path()), [path(1, 0)]);
    assert!(directory.exists());
}

/// A link that leads nowhere exists and does not: making the directory says "exists", which is not "the name is taken".
#[test]
fn a_date_directory_that_leads_nowhere_is_an_error_and_no_endless_search_for_a_name() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    leave(dir.path(), 1, &torn(&[1]).bytes);
    symlink("not-mounted", dir.path().join("2026")).expect("links");
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!(recovery.errors.len(), 1);
    assert_eq!(partials(dir.path()).len(), 1);
}

#[test]
fn what_there_is_no_time_for_is_left_to_the_next_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for cookie in 1..=3 {
        leave(dir.path(), cookie, &torn(&[1]).bytes);
    }
    let asked = Cell::new(0);
    let go_on = || asked.replace(asked.get() + 1) < 1;
    let recovery = saver::recover(&open_spool(dir.path()), &Counters::default(), go_on);
    assert_eq!((recovery.finished, recovery.left), (1, 2));
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.left), (2, 0));
    assert!(partials(dir.path()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_cut_and_damaged_anywhere_keeps_each_frame_that_is_untouched(
        records in prop::collection::vec(1u32..40, 1..6),
        cut in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..3),
        zeros in 0usize..64,
    ) {
        let torn = torn(&records);
        let mut bytes = torn.bytes[..=cut.index(torn.bytes.len())].to_vec();
        let len = bytes.len();
        let mut touched = Vec::new();
        for (at, damage) in &damage {
            let at = at.index(len);
            bytes[at] ^= damage;
            touched.push(at);
        }
        bytes.resize(len + zeros, 0);
        let is_untouched = |frame: &Range<usize>| frame.end <= len && !touched.iter().any(|at| frame.contains(at));
        let untouched = torn.serials(is_untouched);
        match &recover_all(&[bytes])[0] {
            Finished(kept) => {
                prop_assert!(kept.is_sorted_by(|a, b| a < b), "none twice: {kept:?}");
                let is_kept = |serial: &u32| kept.binary_search(serial).is_ok();
                prop_assert!(untouched.iter().all(is_kept), "{kept:?} of {untouched:?}");
                for (_, serials) in &torn.frames {
                    let of_frame = serials.clone().filter(is_kept).count();
                    prop_assert!(of_frame == 0 || of_frame == serials.len(), "a frame is whole, or not there");
                }
            }
            SetAside => prop_assert!(!is_untouched(&torn.frames[0].0) && !untouched.is_empty()),
            Removed => prop_assert!(untouched.is_empty()),
        }
    }
}
