//! Deleting finished files: those that are too old, and the oldest where they take too much room.
//!
//! Files in progress are never touched, nor files that do not bear the name of an archive. What is to be deleted is
//! handed out in a list, so that whoever deletes decides how fast: an ext4 that had to free many inodes at once makes
//! new files slowly for a while.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::naming::parse_file_name;
use crate::spool::{DiskError, disk};
use crate::tree::day_directories;

/// Files of one list: what is found of a directory is held in memory.
const LIST_LEN: usize = 20_000;
const BLOCK: u64 = 512;

/// What may stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes on disk of all finished files together.
    pub max_disk: Option<u64>,
    /// Age of a finished file, from its last record.
    pub retain: Option<Duration>,
}

/// Watches over the finished files below an output directory.
#[derive(Debug)]
pub struct Retention {
    output: PathBuf,
    limits: Limits,
    /// What was found under each day when its directory last changed.
    days: BTreeMap<NaiveDate, Day>,
    /// Files that could not be deleted: others go in their place, until there are none.
    stuck: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Day {
    directory: PathBuf,
    changed: SystemTime,
    bytes: u64,
}

/// A finished file that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doomed {
    modified: SystemTime,
    path: PathBuf,
    day: NaiveDate,
    bytes: u64,
    /// Why: the label of the counter, `max_disk` or `retain`.
    pub reason: &'static str,
}

impl Retention {
    /// Nothing is looked at yet.
    pub fn new(output: &Path, limits: Limits) -> Self {
        Self { output: output.into(), limits, days: BTreeMap::new(), stuck: HashSet::new() }
    }

    /// Bytes on disk that finished files take, as of the last [`plan`](Retention::plan) and what was deleted since.
    pub fn bytes(&self) -> u64 {
        self.days.values().map(|day| day.bytes).sum()
    }

    /// Looks at the directories that have changed, and lists files that are to be deleted, oldest first. It may not be all
    /// of them: ask again when these are gone.
    pub fn plan(&mut self, now: DateTime<Utc>) -> Vec<Doomed> {
        self.survey();
        let mut doomed = self.too_old(now);
        if doomed.is_empty() {
            doomed = self.too_much();
        }
        if doomed.is_empty() {
            self.stuck.clear();
        }
        doomed
    }

    /// Deletes a file, and the directories that become empty by it, but for those of `today`.
    pub fn delete(&mut self, doomed: &Doomed, today: NaiveDate) -> Result<(), DiskError> {
        match fs::remove_file(&doomed.path) {
            // Someone else was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            outcome => outcome.map_err(|error| {
                self.stuck.insert(doomed.path.clone());
                disk("delete", &doomed.path)(error)
            })?,
        }
        if let Some(day) = self.days.get_mut(&doomed.day) {
            day.bytes = day.bytes.saturating_sub(doomed.bytes);
        }
        if doomed.day < today {
            // Day, month, year: each only if it is empty, which the file system knows best.
            let directories = doomed.path.ancestors().skip(1).take(3);
            let _ = directories.take_while(|directory| fs::remove_dir(directory).is_ok()).count();
        }
        Ok(())
    }

    fn survey(&mut self) {
        let found = day_directories(&self.output);
        self.days.retain(|day, _| found.iter().any(|(there, _)| there == day));
        for (day, directory) in found {
            let Ok(changed) = fs::metadata(&directory).and_then(|meta| meta.modified()) else { continue };
            // Finished files never change, so a directory that has not holds what it held.
            if self.days.get(&day).is_none_or(|known| known.changed != changed) {
                let bytes = finished(&directory).map(|file| file.bytes).sum();
                self.days.insert(day, Day { directory, changed, bytes });
            }
        }
    }

    fn too_old(&self, now: DateTime<Utc>) -> Vec<Doomed> {
        let age = self.limits.retain.and_then(|age| TimeDelta::from_std(age).ok());
        let Some(since) = age.and_then(|age| now.checked_sub_signed(age)) else { return Vec::new() };
        let is_old = |file: &Finished| file.modified < SystemTime::from(since) && !self.stuck.contains(&file.path);
        let mut doomed = Vec::new();
        for (&day, found) in self.days.range(..=since.date_naive()) {
            let old = oldest(finished(&found.directory).filter(is_old));
            doomed.extend(old.map(|file| file.doomed(day, "retain")).take(LIST_LEN - doomed.len()));
        }
        doomed
    }

    fn too_much(&self) -> Vec<Doomed> {
        let mut excess = self.bytes().saturating_sub(self.limits.max_disk.unwrap_or(u64::MAX));
        let mut doomed = Vec::new();
        for (&day, found) in &self.days {
            if excess == 0 || doomed.len() == LIST_LEN {
                break;
            }
            let files = finished(&found.directory).filter(|file| !self.stuck.contains(&file.path));
            for file in oldest(files).take(LIST_LEN - doomed.len()) {
                if excess == 0 {
                    break;
                }
                excess = excess.saturating_sub(file.bytes);
                doomed.push(file.doomed(day, "max_disk"));
            }
        }
        doomed
    }
}

/// A finished file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finished {
    modified: SystemTime,
    path: PathBuf,
    bytes: u64,
}

impl Finished {
    fn doomed(self, day: NaiveDate, reason: &'static str) -> Doomed {
        let Self { modified, path, bytes } = self;
        Doomed { modified, path, day, bytes, reason }
    }
}

fn finished(directory: &Path) -> impl Iterator<Item = Finished> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        parse_file_name(entry.file_name().to_str()?)?;
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(Finished { modified: meta.modified().ok()?, path: entry.path(), bytes: meta.blocks() * BLOCK })
    })
}

/// The oldest of them, in order, and no more than fit a list.
fn oldest(files: impl Iterator<Item = Finished>) -> impl Iterator<Item = Finished> {
    let mut heap = BinaryHeap::new();
    for file in files {
        heap.push(file);
        if heap.len() > LIST_LEN {
            heap.pop();
        }
    }
    heap.into_sorted_vec().into_iter()
}
