//! The date tree: `YYYY/MM/DD` below the output directory.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

/// The directories of days that exist. What cannot be read is passed over.
pub(crate) fn day_directories(output: &Path) -> Vec<(NaiveDate, PathBuf)> {
    let mut directories = Vec::new();
    for (year, path) in numbered(output, 4) {
        for (month, path) in numbered(&path, 2) {
            for (day, path) in numbered(&path, 2) {
                let date = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
                directories.extend(date.map(|date| (date, path)));
            }
        }
    }
    directories
}

/// Only names that this program writes: another spelling of a number is another directory of the same date.
fn numbered(directory: &Path, digits: usize) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let name = entry.file_name();
        let name =
            name.to_str().filter(|name| name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some((name.parse().ok()?, entry.path()))
    })
}
