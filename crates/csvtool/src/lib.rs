//! Archives of `tcp-info` to tables: one row per record, in constant memory.
//!
//! An archive keeps what the kernel said as the bytes it said it in; that is what makes recording cheap and lossless.
//! This crate is where those bytes become a table that any tool can load. Its stages, each a module:
//!
//! 1. [`inputs`] finds archives: files, trees, patterns, members of tar files;
//! 2. [`convert`] reads one archive record by record, into memory that is reused, and carries the facts of the header
//!    line along;
//! 3. [`select`] says which records are looked at;
//! 4. a [`convert::Product`] makes something of them: rows of text, batches of columns or rows for BigQuery
//!    ([`formats`]), the last record of each connection ([`last`]), or what all of them come to ([`summary`]);
//! 5. an [`output::Sink`] takes that in the order of archives, and writes it; where a connection has several, [`join`]
//!    puts together what they tell;
//! 6. [`pipeline`] has several workers ([`work`]) make things at a time, and keeps their order;
//! 7. [`report`] tells on standard error what could not be read, [`progress`] how far it is;
//! 8. [`cli`] is the command around them.
//!
//! Beside this, [`capture`] tells of TCP streams in capture files. How it and [`summary`] write a line a thing is in
//! [`listing`].
//!
//! The table of columns is in [`inetdiag::columns`], with everything else that is known of a record; [`compat`] is the
//! same table with the flaws of the Go original put back in, for `--compat`.
//!
//! Absent is an empty cell and never 0: a kernel that does not know a field and a counter that stands at zero are two
//! things.
//!
//! # From the library
//!
//! ```
//! use csvtool::convert::{Converter, Name};
//! use csvtool::formats::text::{Dialect, TextRows};
//! use inetdiag::ArchiveReader;
//!
//! let archive = concat!(
//!     r#"{"Metadata":{"UUID":"host_1_00A","Sequence":0,"StartTime":"2026-01-02T03:04:05Z"}}"#,
//!     "\n",
//!     r#"{"Timestamp":"2026-01-02T03:04:05.5Z","RawIDM":"AgEAAAG7yAIKAAAB"#, // and so on, but this file was cut
//! );
//! let rows = TextRows::csv(Dialect::Ours);
//! let mut csv = rows.header();
//! let mut give = |rows: Vec<u8>| {
//!     csv.extend_from_slice(&rows);
//!     Ok(())
//! };
//! let mut converter = Converter::new(rows);
//! let mut faults = Vec::new();
//! let mut archive = ArchiveReader::new(archive.as_bytes());
//! let on_fault = |fault: inetdiag::ReadError, _| faults.push(fault.to_string());
//! let tally = converter.convert(&Name::file("cut.jsonl"), &mut archive, on_fault, &mut give).expect("all is taken");
//! converter.finish(&mut give).expect("all is taken");
//! assert!(csv.starts_with(b"Timestamp,Observed,NotFullyParsed,IDM.Family,"));
//! assert_eq!((tally.lines, tally.rows), (1, 0));
//! assert!(faults[0].starts_with("line 2 at byte 83"));
//! ```

pub mod capture;
pub mod cli;
pub mod compat;
pub mod convert;
pub mod formats;
pub mod inputs;
pub mod join;
pub mod last;
pub mod listing;
pub mod output;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod select;
pub mod summary;
pub mod temporary;
pub mod work;
