//! What the saver keeps of one connection between two flushes.

use std::time::Instant;

use chrono::{DateTime, NaiveDate, Utc};

use crate::pending::Pending;

/// One connection: small while idle, for there may be a hundred thousand.
#[derive(Debug)]
pub(crate) struct Connection {
    /// When it was first seen.
    pub(crate) start: DateTime<Utc>,
    /// SEQ of its current file, or of the next one while it has none.
    pub(crate) sequence: u32,
    /// Whether any record had `tcp_info`: then records without are left out, so that the last line of a file has it.
    pub(crate) has_tcp_info: bool,
    /// Ended; its file is to be finished.
    pub(crate) closing: bool,
    pub(crate) file: Option<OpenFile>,
    /// Records not yet written. An idle connection has none, and no memory for them.
    pub(crate) waiting: Option<Box<Waiting>>,
}

/// The file that takes a connection's records now. It exists on disk once `len` is not 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenFile {
    /// When its first record came, for rotation and, as a date, for its place.
    pub(crate) opened: Instant,
    pub(crate) day: NaiveDate,
    /// Bytes of whole frames in it.
    pub(crate) len: u64,
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

impl Connection {
    pub(crate) fn new(start: DateTime<Utc>, sequence: u32) -> Self {
        Self { start, sequence, has_tcp_info: false, closing: false, file: None, waiting: None }
    }

    /// Records that are not in the file.
    pub(crate) fn unwritten(&self) -> u32 {
        self.waiting.as_ref().map_or(0, |waiting| waiting.records.records() - waiting.written)
    }
}
