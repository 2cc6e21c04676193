//! `csvtool streams`: each TCP stream in capture files on one line.
//!
//! Several files are one capture: what a rotated one has of a connection is put together. Packets are analysed by the
//! crate [`streams`]; here is what is read ([`input`]), what was wrong with it ([`faults`]), and how streams are told of
//! ([`columns`], [`human`], [`totals`]).

pub mod columns;
pub mod faults;
pub mod human;
pub mod input;
pub mod totals;

use std::io::Read;

use streams::analysis::Report;
use streams::file::{FileCounts, FileError, read};
use streams::table::{FrameCounts, Limits, Table};

/// What capture files have in them, one after the other.
#[derive(Debug)]
pub struct Capture {
    table: Table,
    /// Time of the latest packet, in nanoseconds since 1970.
    now: u64,
    /// Streams of connections whose ends have begun another one since.
    replaced: Vec<Report>,
}

/// What was in a file.
#[derive(Debug)]
pub struct FileTally {
    /// Packets by their link layers.
    pub file: FileCounts,
    /// Packets by what was in them.
    pub frames: FrameCounts,
    /// Packets of connections.
    pub segments: u64,
    /// Whether it could be read to its end.
    pub outcome: Result<(), FileError>,
}

impl Default for Capture {
    fn default() -> Self {
        Self { table: Table::new(Limits::NONE), now: 0, replaced: Vec::new() }
    }
}

impl Capture {
    /// Reads a file, as far as that goes.
    pub fn read(&mut self, input: impl Read) -> FileTally {
        let Self { table, now, replaced } = self;
        let mut segments = 0;
        let (file, outcome) = read(input, |frame| {
            *now = frame.time.max(*now);
            // For the connection that is replaced the capture ends with what replaces it.
            let connection = table.frame(frame, |ended| replaced.extend(ended.reports(frame.time)));
            segments += u64::from(connection.is_some());
        });
        FileTally { file, frames: std::mem::take(&mut table.counts), segments, outcome }
    }

    /// All streams as they are at the end, by the time of their first packets.
    pub fn streams(self) -> Vec<Report> {
        let Self { table, now, replaced: mut streams } = self;
        let connections = (0..table.end()).filter_map(|number| table.get(u32::try_from(number).ok()?));
        streams.extend(connections.flat_map(|connection| connection.reports(now)));
        streams.sort_by_key(|stream| stream.first);
        streams
    }
}
