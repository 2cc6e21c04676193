//! Archives of `tcp-info` to tables: one row per record, in constant memory.
//!
//! An archive keeps what the kernel said as the bytes it said it in; that is what makes recording cheap and lossless.
//! This crate is where those bytes become a table that any tool can load. Its stages, each a module:
//!
//! 1. [`inputs`] finds archives: files, trees, patterns, members of tar files;
//! 2. [`convert`] reads one archive record by record, into memory that is reused, and carries the facts of the header
//!    line along;
//! 3. [`select`] says which records become rows;
//! 4. [`row`] is what a cell can draw on: the record, its decoding, the connection it belongs to;
//! 5. [`columns`] is the table of columns, as data: name, type, unit, since which kernel, meaning, way to the value;
//! 6. [`compat`] is the same table with the flaws of the Go original put back in, for `--compat`;
//! 7. [`rows`] writes rows, with cells as [`csv`], [`tsv`] and [`json`] have them;
//! 8. [`report`] tells on standard error what could not be read;
//! 9. [`output`] is where the table goes;
//! 10. [`progress`] shows how far it is;
//! 11. [`pipeline`] has several workers convert inputs at a time ([`work`]), and keeps their order;
//! 12. [`cli`] is the command around them.
//!
//! A column yields a typed value and knows nothing of CSV, so that other formats can be written from the same table.
//! The price is one indirect call per cell, some nanoseconds beside the base64 and JSON that each record costs anyway.
//!
//! Absent is an empty cell and never 0: a kernel that does not know a field and a counter that stands at zero are two
//! things.
//!
//! # From the library
//!
//! ```
//! use csvtool::convert::{Converter, Dialect};
//! use inetdiag::ArchiveReader;
//!
//! let archive = concat!(
//!     r#"{"Metadata":{"UUID":"host_1_00A","Sequence":0,"StartTime":"2026-01-02T03:04:05Z"}}"#,
//!     "\n",
//!     r#"{"Timestamp":"2026-01-02T03:04:05.5Z","RawIDM":"AgEAAAG7yAIKAAAB"#, // and so on, but this file was cut
//! );
//! let mut converter = Converter::new(Vec::new(), Dialect::Ours);
//! let mut faults = Vec::new();
//! let mut archive = ArchiveReader::new(archive.as_bytes());
//! let tally = converter.convert(&mut archive, |fault, _| faults.push(fault.to_string()))?;
//! let csv = String::from_utf8(converter.finish()?)?;
//! assert!(csv.starts_with("Timestamp,Observed,NotFullyParsed,IDM.Family,"));
//! assert_eq!((tally.lines, tally.rows), (1, 0));
//! assert!(faults[0].starts_with("line 2 at byte 83"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cli;
pub mod columns;
pub mod compat;
pub mod convert;
pub mod csv;
pub mod inputs;
pub mod json;
pub mod output;
pub mod pipeline;
pub mod progress;
pub mod report;
pub mod row;
pub mod rows;
pub mod select;
pub mod tsv;
pub mod work;
