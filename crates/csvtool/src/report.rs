//! What is said of archives that are not whole: one line for each fault, and an end to it when there are thousands.

use std::io::{self, Write};

use inetdiag::{ReadError, ReadFault};
use thiserror::Error;

use crate::convert::Tally;

/// Bad lines of one file that are told one by one; the others are counted.
const SHOWN_FAULTS: u64 = 5;

/// Why a file did not yield what it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file cannot be opened, or not one byte of it be read.
    #[error("cannot open: {0}")]
    Open(io::Error),
    /// There was no line in it, not even a bad one.
    #[error("no records: the file is empty")]
    NoRecords,
    /// The file is damaged where it tells of its members.
    #[error("cannot read the tar file on: {0}; members behind are lost")]
    Tar(io::Error),
    /// No name in it is that of an archive.
    #[error("there is no archive in it: names of archives end in .jsonl.zst or .jsonl")]
    NoArchives,
    /// A pattern that matches nothing.
    #[error("no file matches")]
    NoMatch,
    /// A line is bad; reading went on with the next one.
    #[error("{0}; this line is left out")]
    BadLine(ReadError),
    /// The file ends before it should, or is damaged from here on.
    #[error("{fault}; what follows is lost, rows written before it: {rows}")]
    Damaged {
        /// Where and how.
        fault: ReadError,
        /// Rows that this file yielded.
        rows: u64,
    },
}

/// Tells of faults on standard error, and remembers that there were any.
pub struct Report<W> {
    out: W,
    any: bool,
    /// Records left out to thin them.
    thinned: u64,
}

impl<W: Write> Report<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, any: false, thinned: 0 }
    }

    /// Whether anything was wrong.
    pub fn any(&self) -> bool {
        self.any
    }

    /// Tells what is wrong with a file.
    pub fn tell(&mut self, file: &str, error: &InputError) {
        self.line(format_args!("{file}: {error}"));
    }

    /// Tells of a fault inside a file, if it is among the first ones or the end of all.
    pub fn fault(&mut self, file: &str, fault: ReadError, so_far: Tally) {
        self.any = true;
        match fault.fault {
            ReadFault::Io(_) | ReadFault::Cut { .. } => {
                self.tell(file, &InputError::Damaged { fault, rows: so_far.rows });
            }
            _ if so_far.faults <= SHOWN_FAULTS => self.tell(file, &InputError::BadLine(fault)),
            _ => {}
        }
    }

    /// Tells what was not told one by one.
    pub fn end_of_file(&mut self, file: &str, tally: Tally) {
        self.thinned += tally.thinned;
        if tally == Tally::default() {
            self.tell(file, &InputError::NoRecords);
        }
        if tally.faults > SHOWN_FAULTS {
            let Tally { lines, rows, faults, .. } = tally;
            let hint = if lines == 0 {
                "; text or zstd is read, anything else must be unpacked first, see --help"
            } else {
                ""
            };
            self.line(format_args!(
                "{file}: {faults} of {} lines are bad in all; {rows} rows were written{hint}",
                lines + faults
            ));
        }
    }

    /// Tells how many records were left out because that was asked for. Nothing is wrong with it.
    pub fn thinned(&mut self) {
        if self.thinned > 0 {
            let _ = writeln!(self.out, "csvtool: {} records are left out by --every", self.thinned);
        }
    }

    /// Tells that the table itself could not be written.
    pub fn output(&mut self, error: &io::Error) {
        self.line(format_args!("cannot write the table: {error}; it is not complete"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.any = true;
        // There is no one left to tell when standard error is gone; the exit code still says it.
        let _ = writeln!(self.out, "csvtool: {text}");
    }
}
