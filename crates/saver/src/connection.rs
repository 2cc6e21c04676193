//! What the saver keeps of one connection between two flushes.

use std::time::Instant;

use chrono::{DateTime, NaiveDate, Utc};

use crate::pending::Pending;
use crate::spool::Partial;

/// One connection: small while idle, for there may be a hundred thousand.
#[derive(Debug)]
pub(crate) struct Connection {
    /// When it was first seen.
    pub(crate) start: DateTime<Utc>,
    /// SEQ of its current file, or of the next one while it has none.
    pub(crate) sequence: u32,
    /// Whether any record had `tcp_info`: then records without are left out, so that the last line of a file has it.
    pub(crate) has_tcp_info: bool,
    pub(crate) life: Life,
    pub(crate) file: Option<OpenFile>,
    /// Records not yet written. An idle connection has none, and no memory for them.
    pub(crate) waiting: Option<Box<Waiting>>,
}

/// How far a connection's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It goes on.
    Open,
    /// Nothing is seen of it any more, and its file is to be finished; but it may be heard of again.
    Vanished,
    /// It has ended, and its file is to be finished.
    Ended,
}

/// The file that takes a connection's records now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenFile {
    /// When its first record came, for rotation and, as a date, for its place.
    pub(crate) opened: Instant,
    pub(crate) day: NaiveDate,
    /// The file itself; `None` until its first frame is written.
    pub(crate) partial: Option<Partial>,
    /// Frames in it, and the bytes of their text.
    pub(crate) frames: u32,
    pub(crate) raw: u64,
}

/// Records on their way to the disk.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// When the oldest of them came.
    pub(crate) since: Instant,
    pub(crate) records: Pending,
    /// How many of them are in the file already: a full disk may take some frames and refuse the next.
    pub(crate) written: u32,
}

impl OpenFile {
    /// A file that is to take records from now on.
    pub(crate) fn new(opened: Instant, day: NaiveDate) -> Self {
        Self { opened, day, partial: None, frames: 0, raw: 0 }
    }
}

impl Connection {
    pub(crate) fn new(start: DateTime<Utc>, sequence: u32) -> Self {
        Self { start, sequence, has_tcp_info: false, life: Life::Open, file: None, waiting: None }
    }

    /// Records that are not in the file.
    pub(crate) fn unwritten(&self) -> u32 {
        self.waiting.as_ref().map_or(0, |waiting| waiting.records.records() - waiting.written)
    }
}
