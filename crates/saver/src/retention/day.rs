//! One look at the finished files of a day.

use std::collections::{BinaryHeap, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::naming::parse_file_name;

const BLOCK: u64 = 512;

/// What is known of the directory of a day.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) directory: PathBuf,
    /// When the directory last changed before it was looked at; `None` to look again.
    pub(super) changed: Option<SystemTime>,
    /// Bytes on disk: found, less what was deleted, and about what was finished since.
    pub(super) bytes: u64,
    /// No file that may be tried is older; `None` if there is no such file.
    pub(super) oldest: Option<SystemTime>,
    /// Up to this one all files were tried, and some could not be deleted: others go in their place.
    pub(super) tried: Option<Candidate>,
}

/// A finished file, by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) modified: SystemTime,
    pub(super) name: Box<str>,
    pub(super) bytes: u64,
}

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    /// Bytes that the disk takes beyond the length of a file, on average; `None` without files.
    pub(super) slack: Option<u64>,
    /// The oldest that may be tried, in order.
    pub(super) oldest: VecDeque<Candidate>,
}

impl Day {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, changed: None, bytes: 0, oldest: None, tried: None }
    }

    /// Looks at every file, and keeps the oldest, `most` of them.
    pub(super) fn look(&mut self, most: usize) -> Look {
        // Before the look: what changes during it is a reason to look again.
        self.changed = fs::metadata(&self.directory).and_then(|meta| meta.modified()).ok();
        let (mut files, mut length, mut bytes) = (0, 0, 0);
        let mut oldest = BinaryHeap::new();
        for (candidate, len) in finished(&self.directory) {
            files += 1;
            length += len;
            bytes += candidate.bytes;
            let was_tried = self.tried.as_ref().is_some_and(|tried| candidate <= *tried);
            let is_too_young = oldest.len() == most && oldest.peek().is_some_and(|last| candidate > *last);
            if was_tried || is_too_young {
                continue;
            }
            oldest.push(candidate);
            if oldest.len() > most {
                oldest.pop();
            }
        }
        let oldest = VecDeque::from(oldest.into_sorted_vec());
        self.bytes = bytes;
        self.oldest = oldest.front().map(|first| first.modified);
        Look { slack: bytes.saturating_sub(length).checked_div(files), oldest }
    }
}

/// The finished files in a directory, and how long each is.
fn finished(directory: &Path) -> impl Iterator<Item = (Candidate, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        parse_file_name(&name)?;
        let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let (name, bytes) = (name.into_boxed_str(), meta.blocks() * BLOCK);
        Some((Candidate { modified: meta.modified().ok()?, name, bytes }, meta.len()))
    })
}
