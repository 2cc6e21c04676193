//! The date tree: `YYYY/MM/DD` below the output directory.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

/// The directories of days that exist. What cannot be read is passed over.
pub(crate) fn day_directories(output: &Path) -> Vec<(NaiveDate, PathBuf)> {
    let mut directories = Vec::new();
    for (year, path) in numbered(output) {
        for (month, path) in numbered(&path) {
            for (day, path) in numbered(&path) {
                let date = i32::try_from(year).ok().and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
                directories.extend(date.map(|date| (date, path)));
            }
        }
    }
    directories
}

fn numbered(directory: &Path) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}
