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
}

impl<W: Write> Report<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, any: false }
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
        if tally == Tally::default() {
            self.tell(file, &InputError::NoRecords);
        }
        if tally.faults > SHOWN_FAULTS {
            let Tally { lines, rows, faults } = tally;
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

    /// Tells that the CSV itself could not be written.
    pub fn output(&mut self, error: &io::Error) {
        self.line(format_args!("cannot write the CSV: {error}; it is not complete"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.any = true;
        // There is no one left to tell when standard error is gone; the exit code still says it.
        let _ = writeln!(self.out, "csvtool: {text}");
    }
}
