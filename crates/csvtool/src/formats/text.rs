//! Rows as text: CSV, TSV, or a JSON object each.

use inetdiag::columns::{self, Column, Connection, Kind, Row, Value};
use inetdiag::{ArchivalRecord, Snapshot};

use super::{csv, json, tsv};
use crate::compat;
use crate::convert::{Give, Product};
use crate::pipeline::{Stopped, Weigh};

/// Text is handed on in pieces of this size or a row more, always whole rows.
const PIECE_LEN: usize = 64 << 10;

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Syntax {
    /// Commas, and quotes where they are needed; an absent value is an empty cell.
    #[default]
    Csv,
    /// Tabs, and no quotes.
    Tsv,
    /// A JSON object a row, with the names of the columns; an absent value has no key.
    Jsonl,
}

/// Which table is written.
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

/// Writes rows of one set of columns.
#[derive(Debug, Clone)]
pub struct TextRows {
    columns: Vec<Column>,
    /// Names of the columns as JSON keys, each with what stands before its value.
    keys: Vec<Vec<u8>>,
    syntax: Syntax,
    dialect: Dialect,
    text: Vec<u8>,
}

impl TextRows {
    /// All columns as CSV.
    pub fn csv(dialect: Dialect) -> Self {
        Self::new(Syntax::Csv, dialect, dialect.columns())
    }

    /// These columns, decoded in that dialect.
    pub fn new(syntax: Syntax, dialect: Dialect, columns: Vec<Column>) -> Self {
        let keys = columns.iter().map(|column| json::key(column.name)).collect();
        Self { columns, keys, syntax, dialect, text: Vec::new() }
    }

    /// The first line of the table: the names of the columns; nothing where each row has them.
    pub fn header(&self) -> Vec<u8> {
        let mut header = self.clone();
        match self.syntax {
            Syntax::Csv => header.cells(b',', |out, column| csv::write_text(out, column.name.as_bytes())),
            Syntax::Tsv => header.cells(b'\t', |out, column| tsv::write_text(out, column.name.as_bytes())),
            Syntax::Jsonl => {}
        }
        header.text
    }

    fn row(&mut self, row: &Row<'_>) {
        match self.syntax {
            Syntax::Csv => self.cells(b',', |out, column| {
                if let Some(value) = (column.value)(row) {
                    csv::write_value(out, &value);
                }
            }),
            Syntax::Tsv => self.cells(b'\t', |out, column| match (column.value)(row) {
                Some(Value::Text(text)) => tsv::write_text(out, &text),
                Some(value) => csv::write_value(out, &value),
                None => {}
            }),
            Syntax::Jsonl => self.object(row),
        }
    }

    #[inline]
    fn cells(&mut self, separator: u8, write: impl Fn(&mut Vec<u8>, &Column)) {
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                self.text.push(separator);
            }
            write(&mut self.text, column);
        }
        self.text.push(b'\n');
    }

    fn object(&mut self, row: &Row<'_>) {
        let start = self.text.len();
        for (column, key) in self.columns.iter().zip(&self.keys) {
            let Some(value) = (column.value)(row) else { continue };
            self.text.push(if self.text.len() == start { b'{' } else { b',' });
            self.text.extend_from_slice(key);
            json::write_value(&mut self.text, &value);
        }
        if self.text.len() == start {
            self.text.push(b'{');
        }
        self.text.extend_from_slice(b"}\n");
    }
}

impl Weigh for Vec<u8> {
    fn weight(&self) -> usize {
        self.capacity()
    }
}

impl Product for TextRows {
    type Made = Vec<u8>;

    fn record(
        &mut self,
        record: &mut ArchivalRecord,
        connection: &Connection,
        give: Give<'_, Vec<u8>>,
    ) -> Result<bool, Stopped> {
        let Some(snapshot) = self.dialect.decode(record) else { return Ok(false) };
        self.row(&Row::decoded(record, snapshot, connection));
        if self.text.len() >= PIECE_LEN {
            self.finish(give)?;
        }
        Ok(true)
    }

    fn finish(&mut self, give: Give<'_, Vec<u8>>) -> Result<(), Stopped> {
        if self.text.is_empty() {
            return Ok(());
        }
        let room = Vec::with_capacity(PIECE_LEN + PIECE_LEN / 16);
        give(std::mem::replace(&mut self.text, room))
    }
}

/// What a column of this kind has in it, in a word.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Uint => "unsigned",
        Kind::Int => "integer",
        Kind::Flag => "flag",
        Kind::Hex => "hexadecimal",
        Kind::Time => "time",
        Kind::Address => "address",
        Kind::Text => "text",
    }
}
