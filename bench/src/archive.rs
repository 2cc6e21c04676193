//! What the recorder wrote, read back.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use inetdiag::{ArchivalRecord, Snapshot};

use crate::traffic::payload_len;

/// What an archive holds.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    pub files: u64,
    pub bytes: u64,
    pub records: u64,
    /// Records of polls within the window.
    pub records_in_window: u64,
    /// Number and time of the first and the last poll within the window of which there is a record.
    first_poll: Option<(u64, DateTime<Utc>)>,
    last_poll: Option<(u64, DateTime<Utc>)>,
    /// Files whose last record has the totals that its ports call for.
    pub true_totals: u64,
}

impl Archive {
    /// Reads all files below `output`.
    pub(crate) fn read(output: &Path, window: &Range<DateTime<Utc>>) -> anyhow::Result<Self> {
        let mut archive = Self::default();
        for path in files(output)? {
            archive.files += 1;
            archive.bytes += fs::metadata(&path)?.len();
            archive.add(&path, window).with_context(|| path.display().to_string())?;
        }
        Ok(archive)
    }

    /// Polls per second within the window.
    pub(crate) fn polls_per_second(&self) -> Option<f64> {
        let ((first, from), (last, to)) = (self.first_poll?, self.last_poll?);
        let seconds = (to - from).num_milliseconds() as f64 / 1000.0;
        (seconds > 0.0).then(|| (last - first) as f64 / seconds)
    }

    fn add(&mut self, path: &Path, window: &Range<DateTime<Utc>>) -> anyhow::Result<()> {
        let mut reader = inetdiag::open(path)?;
        let mut record = ArchivalRecord::default();
        let mut records = 0;
        while let Some(outcome) = reader.read(&mut record) {
            outcome?;
            if record.raw_idm.is_none() {
                continue;
            }
            records += 1;
            let time = record.timestamp.to_utc();
            if let Some(poll) = record.poll
                && window.contains(&time)
            {
                self.records_in_window += 1;
                if self.first_poll.is_none_or(|(first, _)| poll < first) {
                    self.first_poll = Some((poll, time));
                }
                if self.last_poll.is_none_or(|(last, _)| poll > last) {
                    self.last_poll = Some((poll, time));
                }
            }
        }
        ensure!(records > 0, "holds no record");
        self.records += records;
        self.true_totals += u64::from(has_true_totals(&record));
        Ok(())
    }
}

fn has_true_totals(last: &ArchivalRecord) -> bool {
    let (Some(idm), Some(info)) = (last.raw_idm, Snapshot::decode(last).tcp_info) else { return false };
    let len = payload_len(idm.id.idiag_sport.get(), idm.id.idiag_dport.get()) as u64;
    // SYN and FIN count one each.
    info.bytes_acked() == Some(len + 2) && info.bytes_received() == Some(len + 1)
}

/// All finished files.
pub(crate) fn files(output: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![output.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == ".spool") {
                continue;
            }
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
