//! What is said of archives that are not whole: one line for each.

use std::fmt;
use std::io::{self, Write};

use inetdiag::{ReadError, ReadFault};
use thiserror::Error;

use crate::convert::Tally;

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
    /// It is the table itself.
    #[error("is the table that is written: left out")]
    IsOutput,
    /// A pattern that matches nothing.
    #[error("no file matches")]
    NoMatch,
    /// A line is bad; reading went on with the next one.
    #[error("{0}; this line is left out")]
    BadLine(ReadError),
    /// The file ends before it should, or is damaged from here on.
    #[error("{fault}; what follows is lost, rows written before it: {before}")]
    Cut {
        /// Where and how.
        fault: ReadError,
        /// Rows that this file yielded.
        before: u64,
    },
    /// The file is damaged here, and was read again further on.
    #[error("{fault}; rows written: {before} before it, {behind} from whole frames behind it")]
    Gap {
        /// Where and how.
        fault: ReadError,
        /// Rows of what is before it.
        before: u64,
        /// Rows of what is behind it.
        behind: u64,
    },
}

/// Tells of faults on standard error, one line for each input that has any, and remembers that there were.
pub struct Report<W> {
    out: W,
    any: bool,
    name: String,
    /// The first fault of the input under way, with the rows there were until then.
    first: Option<(ReadError, u64)>,
    inputs: u64,
    bad: u64,
    rows: u64,
    thinned: u64,
}

impl<W: Write> Report<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        let (name, first) = (String::new(), None);
        Self { out, any: false, name, first, inputs: 0, bad: 0, rows: 0, thinned: 0 }
    }

    /// Whether anything was wrong.
    pub fn any(&self) -> bool {
        self.any
    }

    /// An input of that name follows.
    pub fn begin(&mut self, name: String) {
        (self.name, self.first) = (name, None);
    }

    /// Takes note of the first fault in it.
    pub fn fault(&mut self, fault: ReadError, so_far: Tally) {
        self.any = true;
        self.first = Some((fault, so_far.rows));
    }

    /// The input has ended: tells what was wrong with it; `last` if it was more than one thing.
    pub fn end(&mut self, tally: Tally, last: Option<ReadError>) {
        let Tally { lines, rows, thinned, faults } = tally;
        self.inputs += 1;
        self.rows += rows;
        self.thinned += thinned;
        let name = std::mem::take(&mut self.name);
        match (self.first.take(), last) {
            (None, _) if tally == Tally::default() => self.bad(&name, format_args!("{}", InputError::NoRecords)),
            (None, _) => {}
            (Some((fault, before)), None) => {
                let is_foreign = match &fault.fault {
                    ReadFault::Damaged(damage) => damage.at < 4,
                    fault => matches!(fault, ReadFault::Malformed(_)),
                };
                let hint = if lines == 0 && is_foreign { NOT_AN_ARCHIVE } else { "" };
                self.bad(&name, format_args!("{}{hint}", explained(fault, before, rows)));
            }
            (Some((fault, before)), Some(last)) => {
                let first = explained(fault, before, rows);
                let hint = if lines == 0 { NOT_AN_ARCHIVE } else { "" };
                let all = lines + faults;
                let more = format_args!(
                    "{faults} of {all} lines are bad in all, the last: {last}; rows written: {rows}{hint}"
                );
                self.bad(&name, format_args!("{first}; {more}"));
            }
        }
    }

    /// Tells of an input that cannot be read at all.
    pub fn fail(&mut self, name: &str, error: &impl fmt::Display) {
        self.inputs += 1;
        self.bad(name, format_args!("{error}"));
    }

    /// Tells something of an input with which nothing is wrong.
    pub fn note(&mut self, name: &str, text: &impl fmt::Display) {
        let _ = writeln!(self.out, "csvtool: {name}: {text}");
    }

    /// Tells what it comes to: of several inputs how many were bad, and how many records were left out because that was
    /// asked for, with which nothing is wrong.
    pub fn summary(&mut self) {
        let Self { inputs, bad, rows, thinned, .. } = *self;
        if bad > 0 && inputs > 1 {
            self.line(format_args!("{bad} of {inputs} archives are damaged or missing; {rows} rows were written"));
        }
        if thinned > 0 {
            let _ = writeln!(self.out, "csvtool: {thinned} records are left out by --every");
        }
    }

    /// Tells what was wrong with the input under way, though it has not ended, and that this is the end of all.
    pub fn stopped(&mut self) {
        if let Some((fault, before)) = self.first.take() {
            let name = std::mem::take(&mut self.name);
            self.bad(&name, format_args!("{}", explained(fault, before, before)));
        }
        self.line(format_args!("stopped at the first damage, as --strict asks"));
    }

    /// Tells that the table itself could not be written.
    pub fn output(&mut self, error: &io::Error) {
        self.line(format_args!("cannot write the table: {error}; it is not complete"));
    }

    fn bad(&mut self, name: &str, text: fmt::Arguments<'_>) {
        self.bad += 1;
        self.line(format_args!("{name}: {text}"));
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.any = true;
        // There is no one left to tell when standard error is gone; the exit code still says it.
        let _ = writeln!(self.out, "csvtool: {text}");
    }
}

/// What a fault cost, of an input that had so many rows before it and in all.
fn explained(fault: ReadError, before: u64, rows: u64) -> InputError {
    match fault.fault {
        ReadFault::Damaged(_) if rows > before => InputError::Gap { fault, before, behind: rows - before },
        ReadFault::Damaged(_) | ReadFault::Io(_) | ReadFault::Cut { .. } => InputError::Cut { fault, before },
        _ => InputError::BadLine(fault),
    }
}

const NOT_AN_ARCHIVE: &str =
    "; text, zstd, gzip and tar files are read, anything else must be unpacked first, see --help";
