//! What `kill -9`, power cuts and bad disks leave in the spool, and what the next start makes of it.

use std::fs;
use std::ops::Range;
use std::path::Path;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use saver::Recovery;

use crate::support::*;

/// A file in progress as a killed recorder leaves it.
struct Torn {
    bytes: Vec<u8>,
    /// Where each frame ends, and how many records there are up to there.
    ends: Vec<(usize, usize)>,
}

/// One frame for each number, of so many records; their serial numbers count from 0.
fn torn(records_of_frames: &[u32]) -> Torn {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut recorder = Recorder::new(dir.path());
    let mut torn = Torn { bytes: Vec::new(), ends: Vec::new() };
    let mut serials: Range<u32> = 0..0;
    for &records in records_of_frames {
        serials = serials.end..serials.end + records;
        serials.clone().for_each(|serial| recorder.full(1, serial));
        recorder.pass(seconds(10));
        recorder.tick();
        torn.bytes = fs::read(recorder.partials().pop().expect("one")).expect("reads");
        torn.ends.push((torn.bytes.len(), serials.end as usize));
    }
    assert_eq!(frames(&torn.bytes).len(), records_of_frames.len());
    torn
}

impl Torn {
    /// Records in the frames that end within the first `len` bytes.
    fn records_within(&self, len: usize) -> usize {
        self.ends.iter().take_while(|(end, _)| *end <= len).last().map_or(0, |(_, records)| *records)
    }

    fn is_whole_frames(&self, records: usize) -> bool {
        records == 0 || self.ends.iter().any(|(_, up_to)| *up_to == records)
    }
}

fn leave(output: &Path, cookie: u64, bytes: &[u8]) {
    let spool = output.join(".spool");
    fs::create_dir_all(&spool).expect("creates");
    fs::write(spool.join(format!("{PREFIX}_{cookie:016X}.00000.jsonl.zst.partial")), bytes).expect("writes");
}

/// Recovers all of `cases`, each as the leftover of a connection of its own, and reads back how many records each kept.
/// Records must be the first ones and unchanged, and the files sound.
fn recover_all(cases: &[Vec<u8>]) -> (Vec<usize>, Recovery) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (cookie, bytes) in (0..).zip(cases) {
        leave(dir.path(), cookie, bytes);
    }
    let recovery = recover(&open_spool(dir.path()));
    assert!(recovery.errors.is_empty(), "{:?}", recovery.errors);
    assert!(partials(dir.path()).is_empty());
    assert_zstd_accepts(dir.path(), &files(dir.path()));
    let kept = |(cookie, _)| {
        let file = dir.path().join(path(cookie, 0));
        if !file.exists() {
            return 0;
        }
        let archive = Archive::read(&file);
        let expected = (0..archive.records.len() as u32).map(|serial| Socket::full(1, serial));
        for (record, expected) in archive.records.iter().zip(expected) {
            let message = expected.message();
            assert_eq!(record.raw_idm.as_ref(), Some(message.header()));
            assert_eq!(record.attributes.get(2), message.attribute(2).map(|attribute| attribute.payload));
        }
        archive.records.len()
    };
    let kept: Vec<usize> = (0..).zip(cases).map(kept).collect();
    let finished = kept.iter().filter(|records| **records > 0).count();
    assert_eq!((recovery.finished, recovery.removed), (finished as u64, (cases.len() - finished) as u64));
    (kept, recovery)
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_frames() {
    let torn = torn(&[1, 3, 2, 1]);
    let cases: Vec<Vec<u8>> = (0..=torn.bytes.len()).map(|len| torn.bytes[..len].to_vec()).collect();
    let (kept, recovery) = recover_all(&cases);
    let expected: Vec<usize> = (0..cases.len()).map(|len| torn.records_within(len)).collect();
    assert_eq!(kept, expected);
    assert_eq!(kept.last(), Some(&7));
    let whole = |len: usize| torn.ends.iter().map(|(end, _)| *end).filter(|end| *end <= len).max().unwrap_or(0);
    assert_eq!(recovery.bytes_cut, (0..cases.len()).map(|len| (len - whole(len)) as u64).sum::<u64>());
}

#[test]
fn a_damaged_byte_costs_its_frame_and_those_behind_it_and_forges_nothing() {
    let torn = torn(&[1, 3, 2]);
    for damage in [0x01, 0x80, 0xFF] {
        let damaged = |at: usize| {
            let mut bytes = torn.bytes.clone();
            bytes[at] ^= damage;
            bytes
        };
        let (kept, _) = recover_all(&(0..torn.bytes.len()).map(damaged).collect::<Vec<_>>());
        let mut harmless = 0;
        for (at, kept) in kept.into_iter().enumerate() {
            let before = torn.records_within(at);
            assert!(kept >= before && torn.is_whole_frames(kept), "byte {at}: {kept} records, {before} before it");
            harmless += usize::from(kept > before);
        }
        // Where a reader may look away: the window size, for one.
        assert!(harmless <= 3 * 4, "{harmless} damaged bytes did no harm");
    }
}

#[test]
fn what_a_disk_appends_is_cut_off() {
    let torn = torn(&[2, 1]);
    let tails: [&[u8]; 5] = [&[0], &[0; 4096], b"garbage", &torn.bytes[..20], &[0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 9]];
    let cases: Vec<Vec<u8>> = tails.iter().map(|tail| [&torn.bytes[..], tail].concat()).collect();
    let (kept, recovery) = recover_all(&cases);
    assert_eq!(kept, [3; 5]);
    assert_eq!(recovery.bytes_cut, tails.iter().map(|tail| tail.len() as u64).sum::<u64>());
}

#[test]
fn a_frame_that_ends_inside_a_line_is_no_whole_frame() {
    let torn = torn(&[2]);
    let half = zstd::encode_all(&b"{\"Timestamp\":"[..], 1).expect("compresses");
    let (kept, _) = recover_all(&[[&torn.bytes[..], &half].concat(), half]);
    assert_eq!(kept, [2, 0]);
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
    std::os::unix::fs::symlink("not-mounted", dir.path().join("2026")).expect("links");
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
    let asked = std::cell::Cell::new(0);
    let go_on = || asked.replace(asked.get() + 1) < 1;
    let recovery = saver::recover(&open_spool(dir.path()), &saver::Counters::default(), go_on);
    assert_eq!((recovery.finished, recovery.left), (1, 2));
    let recovery = recover(&open_spool(dir.path()));
    assert_eq!((recovery.finished, recovery.left), (2, 0));
    assert!(partials(dir.path()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_cut_and_damaged_anywhere_keeps_a_sound_beginning(
        records in prop::collection::vec(1u32..40, 1..6),
        cut in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..3),
        zeros in 0usize..64,
    ) {
        let torn = torn(&records);
        let mut bytes = torn.bytes[..=cut.index(torn.bytes.len())].to_vec();
        let mut sound = bytes.len();
        for (at, damage) in &damage {
            let at = at.index(bytes.len());
            bytes[at] ^= damage;
            sound = sound.min(at);
        }
        bytes.resize(bytes.len() + zeros, 0);
        let (kept, _) = recover_all(&[bytes]);
        prop_assert!(kept[0] >= torn.records_within(sound) && torn.is_whole_frames(kept[0]));
    }
}
