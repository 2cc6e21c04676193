//! The next free SEQ of connections that an earlier run of the same boot already wrote.
//!
//! Two things tell: a note that each run leaves of the connections that outlive it, for sites that take finished files
//! away, and the files that are there, for runs that had no time to leave one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use chrono::NaiveDate;
use rustc_hash::FxHashMap;

use crate::naming::parse_file_name;
use crate::spool::Spool;
use crate::tree::day_directories;

const NOTE_NAME: &str = "sequences";

/// Leaves a note of the next SEQ of these connections, by cookie.
pub fn note_sequences(spool: &Spool, prefix: &str, sequences: impl IntoIterator<Item = (u64, u32)>) -> io::Result<()> {
    let lines = sequences.into_iter().map(|(cookie, sequence)| format!("{cookie:016X} {sequence}\n"));
    write_whole(&spool.note_path(NOTE_NAME), &format!("{prefix}\n{}", lines.collect::<String>()))
}

/// What the last run noted, if it gave its connections the same prefix. A line that cannot be read counts for nothing.
pub fn noted_sequences(spool: &Spool, prefix: &str) -> Vec<(u64, u32)> {
    let text = fs::read_to_string(spool.note_path(NOTE_NAME)).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next() != Some(prefix) {
        return Vec::new();
    }
    let parse = |line: &str| {
        let (cookie, sequence) = line.split_once(' ')?;
        Some((u64::from_str_radix(cookie, 16).ok()?, sequence.parse().ok()?))
    };
    lines.filter_map(parse).collect()
}

/// Writes a small file so that it is there whole or not at all.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        // A full disk keeps nothing of it.
        let _ = fs::remove_file(&temporary);
    })
}

/// Looks through the days since `boot_day`, and what is left in the spool, for files of these cookies.
/// Cookies without any are not in the result.
///
/// A directory that cannot be read is passed over: files are never replaced in any case, only a SEQ might occur on two days.
pub(crate) fn next_sequences(
    spool: &Spool,
    prefix: &str,
    boot_day: NaiveDate,
    cookies: &HashSet<u64>,
) -> FxHashMap<u64, u32> {
    let mut next = FxHashMap::default();
    let mut note = |name: &str| {
        if let Some((found, cookie, sequence)) = parse_file_name(name)
            && found == prefix
            && cookies.contains(&cookie)
        {
            let entry = next.entry(cookie).or_insert(0);
            *entry = (*entry).max(sequence.saturating_add(1));
        }
    };
    for leftover in spool.leftovers() {
        note(&leftover.name);
    }
    let days = day_directories(spool.output());
    for (_, directory) in days.into_iter().filter(|(day, _)| *day >= boot_day) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if let Some(name) = entry.file_name().to_str() {
                note(name);
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_by_runs_of_the_same_prefix_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = Spool::open(dir.path(), &dir.path().join(".spool")).expect("opens");
        assert_eq!(noted_sequences(&spool, "host"), []);
        note_sequences(&spool, "host", [(0xAB, 3), (u64::MAX, 0)]).expect("writes");
        assert_eq!(noted_sequences(&spool, "host"), [(0xAB, 3), (u64::MAX, 0)]);
        assert_eq!(noted_sequences(&spool, "other"), []);
        fs::write(spool.note_path(NOTE_NAME), "host\nxyz 1\n12\n0C 7\n0D -1\n").expect("writes");
        assert_eq!(noted_sequences(&spool, "host"), [(0xC, 7)]);
    }
}
