//! The next free SEQ of connections that an earlier run of the same boot already wrote.

use std::collections::HashSet;
use std::fs;

use chrono::NaiveDate;
use rustc_hash::FxHashMap;

use crate::naming::parse_file_name;
use crate::spool::Spool;
use crate::tree::day_directories;

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
