//! Deleting finished files: those that are too old, and the oldest where they take too much room.
//!
//! Files in progress are never touched, nor files that do not bear the name of an archive. What is to be deleted is
//! handed out in small groups, so that whoever deletes decides how fast: an ext4 that had to free many inodes at once
//! makes new files slowly for a while.
//!
//! Looking at a directory costs some microseconds for each file in it, and there may be millions. So a look at the
//! directory from which files are to be deleted lists its oldest ones, many groups of them, and in between the room that
//! new files take is estimated from what the savers count. Each look corrects the estimate.

mod day;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::counters::Counters;
use crate::naming::day_directory;
use crate::spool::{DiskError, disk};
use crate::tree::day_directories;
use day::{Candidate, Day};

/// Files of one list: about 120 bytes each are held in memory.
const LIST_LEN: usize = 250_000;

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
    days: BTreeMap<NaiveDate, Day>,
    /// The oldest files of one day.
    list: VecDeque<Candidate>,
    listed: NaiveDate,
    /// The list began with all files of its day.
    list_is_whole: bool,
    /// What tells of files that are finished between looks.
    counters: Option<Counters>,
    /// Files and bytes that were counted when the estimate was last brought up to date.
    counted: (u64, u64),
    /// Bytes on disk beyond a file's length, as the last look found them.
    slack: u64,
}

/// A finished file that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    file: Candidate,
    path: PathBuf,
    day: NaiveDate,
    /// Why: the label of the counter, `max_disk` or `retain`.
    pub reason: &'static str,
}

impl Retention {
    /// Nothing is looked at yet.
    pub fn new(output: &Path, limits: Limits) -> Self {
        Self {
            output: output.into(),
            limits,
            days: BTreeMap::new(),
            list: VecDeque::new(),
            listed: NaiveDate::MIN,
            list_is_whole: false,
            counters: None,
            counted: (0, 0),
            slack: 0,
        }
    }

    /// Estimates between looks what the savers with these counters add.
    pub fn counting(mut self, counters: Counters) -> Self {
        self.counted = (counters.files.get(), counters.file_bytes.get());
        self.counters = Some(counters);
        self
    }

    /// Bytes on disk that finished files take: what was found, less what was deleted since, and about what was added.
    pub fn bytes(&self) -> u64 {
        self.days.values().map(|day| day.bytes).sum()
    }

    /// Looks at all directories that have changed.
    pub fn look(&mut self, now: DateTime<Utc>) {
        let found = day_directories(&self.output);
        self.days.retain(|day, _| found.iter().any(|(there, _)| there == day));
        for (date, directory) in found {
            let changed = fs::metadata(&directory).and_then(|meta| meta.modified()).ok();
            let day = self.days.entry(date).or_insert_with(|| Day::new(directory));
            // Finished files never change, so a directory that has not holds what it held.
            if day.changed.is_none() || day.changed != changed {
                self.slack = day.look(1).slack.unwrap_or(self.slack);
            }
        }
        self.forget_counted();
        if self.first_due(now, self.excess()).is_none() {
            self.try_again();
        }
    }

    /// Lists files that are to be deleted now, oldest first, `most` of them. It may not be all: ask again when these are
    /// gone. A directory is looked at if the list of its files is used up and more is due.
    pub fn due(&mut self, now: DateTime<Utc>, most: usize) -> Vec<Doomed> {
        self.add_counted(now);
        let since = self.since(now);
        let (mut doomed, mut taken) = (Vec::<Doomed>::new(), 0);
        while doomed.len() < most {
            let excess = self.excess().saturating_sub(taken);
            let Some((date, reason)) = self.first_due(now, excess) else { break };
            let Some(day) = self.days.get_mut(&date) else { break };
            let first = self.list.front().filter(|_| self.listed == date).map(|file| file.modified);
            if first.is_none() || first > day.oldest {
                // What was taken of it is still there, and would be found once more.
                if doomed.last().is_some_and(|last| last.day == date) {
                    break;
                }
                self.list(date, now);
                continue;
            }
            let end = taken + excess;
            let is_due = |file: &Candidate, taken| match reason {
                Reason::TooOld => since.is_some_and(|since| file.modified < since),
                Reason::TooMuch => taken < end,
            };
            while doomed.len() < most
                && let Some(file) = self.list.pop_front_if(|file| is_due(file, taken))
            {
                taken += file.bytes;
                day.oldest = match self.list.front() {
                    Some(next) => Some(next.modified),
                    // A day that is over has got no others since, as a rule. Where files cannot be deleted, new ones
                    // wait for a look: each list would begin with a search among those.
                    None if self.list_is_whole && (date < now.date_naive() || day.tried.is_some()) => None,
                    None => Some(file.modified),
                };
                let path = day.directory.join(&*file.name);
                doomed.push(Doomed { file, path, day: date, reason: reason.label() });
            }
        }
        doomed
    }

    /// How many bytes are beyond `max_disk`, and for how long the oldest file has been too old.
    pub fn backlog(&self, now: DateTime<Utc>) -> (u64, Duration) {
        let late = self.since(now).and_then(|since| {
            let oldest = self.may_be_old(now).filter_map(|(_, day)| day.oldest).min()?;
            since.duration_since(oldest).ok()
        });
        (self.excess(), late.unwrap_or_default())
    }

    /// Deletes a file, and the directories that become empty by it, but for those of `today`.
    pub fn delete(&mut self, doomed: &Doomed, today: NaiveDate) -> Result<(), DiskError> {
        let day = self.days.get_mut(&doomed.day);
        match fs::remove_file(&doomed.path) {
            // Someone else was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                if let Some(day) = day {
                    day.tried = day.tried.take().max(Some(doomed.file.clone()));
                }
                return Err(disk("delete", &doomed.path)(error));
            }
            Ok(()) => {}
        }
        if let Some(day) = day {
            day.bytes = day.bytes.saturating_sub(doomed.file.bytes);
        }
        if doomed.day < today {
            // Day, month, year: each only if it is empty, which the file system knows best.
            let directories = doomed.path.ancestors().skip(1).take(3);
            let _ = directories.take_while(|directory| fs::remove_dir(directory).is_ok()).count();
        }
        Ok(())
    }

    fn excess(&self) -> u64 {
        self.bytes().saturating_sub(self.limits.max_disk.unwrap_or(u64::MAX))
    }

    /// Files of before are too old.
    fn since(&self, now: DateTime<Utc>) -> Option<SystemTime> {
        let age = TimeDelta::from_std(self.limits.retain?).ok()?;
        now.checked_sub_signed(age).map(SystemTime::from)
    }

    /// The days whose files may be too old.
    fn may_be_old(&self, now: DateTime<Utc>) -> impl Iterator<Item = (&NaiveDate, &Day)> {
        let last = self.since(now).map_or(NaiveDate::MIN, |since| DateTime::<Utc>::from(since).date_naive());
        self.days.range(..=last)
    }

    /// The day of which files are to be deleted next, and why.
    fn first_due(&self, now: DateTime<Utc>, excess: u64) -> Option<(NaiveDate, Reason)> {
        let since = self.since(now);
        let too_old = self.may_be_old(now).find(|(_, day)| day.oldest.is_some() && day.oldest < since);
        if let Some((&date, _)) = too_old {
            return Some((date, Reason::TooOld));
        }
        let (&date, _) = self.days.iter().find(|(_, day)| excess > 0 && day.oldest.is_some())?;
        Some((date, Reason::TooMuch))
    }

    /// Lists the oldest files of a day.
    fn list(&mut self, date: NaiveDate, now: DateTime<Utc>) {
        let Some(day) = self.days.get_mut(&date) else { return };
        // Two lists are not held at once.
        self.list = VecDeque::new();
        let look = day.look(LIST_LEN);
        self.slack = look.slack.unwrap_or(self.slack);
        self.list_is_whole = look.oldest.len() < LIST_LEN;
        (self.list, self.listed) = (look.oldest, date);
        if date == now.date_naive() {
            self.forget_counted();
        }
    }

    /// Files that could not be deleted are found again by the next look, for there are no others.
    fn try_again(&mut self) {
        for day in self.days.values_mut().filter(|day| day.tried.is_some()) {
            (day.tried, day.changed) = (None, None);
        }
    }

    /// Adds to the day what was counted since.
    fn add_counted(&mut self, now: DateTime<Utc>) {
        let (files, bytes) = self.counted;
        self.forget_counted();
        let (files, bytes) = (self.counted.0 - files, self.counted.1 - bytes);
        if files > 0 || bytes > 0 {
            let date = now.date_naive();
            let day = self.days.entry(date).or_insert_with(|| Day::new(self.output.join(day_directory(date))));
            day.bytes += bytes + files * self.slack;
            if day.tried.is_none() {
                day.oldest.get_or_insert(SystemTime::from(now));
            }
        }
    }

    /// What was counted up to now was found by a look. Of what was finished during the look, some was not: the limit may
    /// be exceeded by it up to the next one, but nothing is deleted too early.
    fn forget_counted(&mut self) {
        if let Some(counters) = &self.counters {
            self.counted = (counters.files.get(), counters.file_bytes.get());
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Reason {
    TooOld,
    TooMuch,
}

impl Reason {
    fn label(self) -> &'static str {
        match self {
            Self::TooOld => "retain",
            Self::TooMuch => "max_disk",
        }
    }
}
