//! One archive after the other, each record one row.

use std::io::{self, BufRead, Write};

use inetdiag::{ArchivalRecord, ArchiveReader, ReadError, Snapshot};

use crate::columns::{self, Column};
use crate::compat;
use crate::row::{Connection, Row};
use crate::rows::{Format, RowWriter};
use crate::select::{Every, Selection, Thinning};

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
    /// Records left out to thin them.
    pub thinned: u64,
    /// Lines that could not be read.
    pub faults: u64,
}

/// What table is made.
#[derive(Debug, Clone)]
pub struct Table {
    /// Whose.
    pub dialect: Dialect,
    /// How rows are written.
    pub format: Format,
    /// What they have in them.
    pub columns: Vec<Column>,
    /// Of which records they are.
    pub selection: Selection,
    /// How many of these are left out.
    pub every: Option<Every>,
}

impl Table {
    /// Its first line, if it has one.
    pub fn header(&self) -> Vec<u8> {
        let mut rows = RowWriter::new(Vec::new(), self.format, self.columns.clone());
        // Writing to memory does not fail.
        let _ = rows.header();
        rows.finish().unwrap_or_default()
    }

    /// All columns of all records, as CSV.
    pub fn new(dialect: Dialect) -> Self {
        let (columns, selection) = (dialect.columns(), Selection::default());
        Self { dialect, format: Format::Csv, columns, selection, every: None }
    }
}

/// Writes archives as one table. Memory does not grow with their length.
#[derive(Debug)]
pub struct Converter<W> {
    rows: RowWriter<W>,
    dialect: Dialect,
    selection: Selection,
    thinning: Thinning,
    record: ArchivalRecord,
    /// The last record that was left out to thin them, if no row came after it: the last one of a connection is kept.
    left_out: ArchivalRecord,
    has_left_out: bool,
}

impl<W: Write> Converter<W> {
    /// Writes CSV with all columns to `out`.
    pub fn new(out: W, dialect: Dialect) -> Self {
        Self::with(out, Table::new(dialect))
    }

    /// Writes that table to `out`.
    pub fn with(out: W, table: Table) -> Self {
        let Table { dialect, format, columns, selection, every } = table;
        let [record, left_out] = [(); 2].map(|()| ArchivalRecord::default());
        let (rows, thinning) = (RowWriter::new(out, format, columns), Thinning::new(every));
        Self { rows, dialect, selection, thinning, record, left_out, has_left_out: false }
    }

    /// Writes no names of columns.
    pub fn without_header(self) -> Self {
        Self { rows: self.rows.without_header(), ..self }
    }

    /// Where rows go. What was converted before is there only after [`hand_on`](Self::hand_on).
    pub fn out_mut(&mut self) -> &mut W {
        self.rows.out_mut()
    }

    /// Hands on the rows that are still held.
    pub fn hand_on(&mut self) -> io::Result<()> {
        self.rows.hand_on()
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
        self.rows.header()?;
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
                self.end_connection(&connection, &mut tally)?;
                connection = metadata.into();
            }
            if let Some(idm) = &self.record.raw_idm {
                connection.expect(idm.id.cookie());
            }
            self.record(&connection, &mut tally)?;
        }
        self.end_connection(&connection, &mut tally)?;
        Ok(tally)
    }

    /// Makes a row of the record, if it is to have one.
    fn record(&mut self, connection: &Connection, tally: &mut Tally) -> io::Result<()> {
        if !self.selection.accepts(&self.record, connection.uuid()) {
            return Ok(());
        }
        if self.record.raw_idm.is_some() && !self.thinning.keeps(self.record.timestamp.to_utc()) {
            tally.thinned += 1;
            std::mem::swap(&mut self.record, &mut self.left_out);
            self.has_left_out = true;
            return Ok(());
        }
        self.has_left_out = false;
        let written = write_row(&mut self.rows, self.dialect, &self.record, connection)?;
        tally.rows += u64::from(written);
        Ok(())
    }

    /// Its last record is kept.
    fn end_connection(&mut self, connection: &Connection, tally: &mut Tally) -> io::Result<()> {
        self.thinning.restart();
        if std::mem::take(&mut self.has_left_out) {
            tally.thinned -= 1;
            let written = write_row(&mut self.rows, self.dialect, &self.left_out, connection)?;
            tally.rows += u64::from(written);
        }
        Ok(())
    }

    /// Hands on the last rows, and returns where they all went to. Without it some are missing.
    pub fn finish(self) -> io::Result<W> {
        self.rows.finish()
    }
}

/// Writes the row of a record, and says whether it has one.
fn write_row(
    rows: &mut RowWriter<impl Write>,
    dialect: Dialect,
    record: &ArchivalRecord,
    connection: &Connection,
) -> io::Result<bool> {
    let Some(snapshot) = dialect.decode(record) else { return Ok(false) };
    rows.row(&Row { record, snapshot, connection })?;
    Ok(true)
}
