//! One archive after the other, each record one row.

use std::io::{self, BufRead, Write};

use inetdiag::{ArchivalRecord, ArchiveReader, ReadError, Snapshot};

use crate::columns::{self, Column};
use crate::compat;
use crate::csv::CsvWriter;
use crate::row::{Connection, Row};

/// Which CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Every column there is, absent values empty.
    Ours,
    /// What the Go original writes, byte for byte.
    Original,
}

impl Dialect {
    /// The columns, in order.
    pub fn columns(self) -> Vec<Column> {
        match self {
            Dialect::Ours => columns::all().copied().collect(),
            Dialect::Original => compat::columns(),
        }
    }

    /// What the row of this line shows; a header line makes a row in the original only.
    fn decode(self, record: &ArchivalRecord) -> Option<Snapshot> {
        match self {
            Dialect::Ours => record.raw_idm.is_some().then(|| Snapshot::decode(record)),
            Dialect::Original => Some(compat::decode(record)),
        }
    }
}

/// What was found in one archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good lines, the header line included.
    pub lines: u64,
    /// Rows written.
    pub rows: u64,
    /// Lines that could not be read.
    pub faults: u64,
}

/// Writes archives as one CSV. Memory does not grow with their length.
#[derive(Debug)]
pub struct Converter<W> {
    csv: CsvWriter<W>,
    dialect: Dialect,
    record: ArchivalRecord,
}

impl<W: Write> Converter<W> {
    /// Writes to `out`.
    pub fn new(out: W, dialect: Dialect) -> Self {
        Self { csv: CsvWriter::new(out, dialect.columns()), dialect, record: ArchivalRecord::default() }
    }

    /// Writes the rows of `archive`, behind those of the archives before it; the first one brings the header.
    ///
    /// What cannot be read goes to `on_fault`, with what there was until then, and reading goes on as far as it can.
    /// The error is one of writing.
    pub fn convert<R: BufRead>(
        &mut self,
        archive: &mut ArchiveReader<R>,
        mut on_fault: impl FnMut(ReadError, Tally),
    ) -> io::Result<Tally> {
        self.csv.header()?;
        let mut connection = Connection::default();
        let mut tally = Tally::default();
        while let Some(outcome) = archive.read(&mut self.record) {
            if let Err(fault) = outcome {
                tally.faults += 1;
                on_fault(fault, tally);
                continue;
            }
            tally.lines += 1;
            if let Some(metadata) = self.record.metadata.take() {
                connection = metadata.into();
            }
            if let Some(idm) = &self.record.raw_idm {
                connection.expect(idm.id.cookie());
            }
            if let Some(snapshot) = self.dialect.decode(&self.record) {
                self.csv.row(&Row { record: &self.record, snapshot, connection: &connection })?;
                tally.rows += 1;
            }
        }
        Ok(tally)
    }

    /// Hands on the last rows, and returns where they all went to. Without it some are missing.
    pub fn finish(self) -> io::Result<W> {
        self.csv.finish()
    }
}
