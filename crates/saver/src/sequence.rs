//! The next free SEQ of connections that an earlier run of the same boot already wrote.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use rustc_hash::FxHashMap;

use crate::naming::parse_file_name;
use crate::spool::Spool;

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
    for directory in day_directories(spool.output(), boot_day) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if let Some(name) = entry.file_name().to_str() {
                note(name);
            }
        }
    }
    next
}

/// The directories `YYYY/MM/DD` that exist, from `first` on.
fn day_directories(output: &Path, first: NaiveDate) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for (year, path) in numbered(output) {
        for (month, path) in numbered(&path) {
            for (day, path) in numbered(&path) {
                if NaiveDate::from_ymd_opt(year as i32, month, day).is_some_and(|day| day >= first) {
                    directories.push(path);
                }
            }
        }
    }
    directories
}

fn numbered(directory: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}
