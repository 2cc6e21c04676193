//! Rows as text, in one of several formats.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::columns::Column;
use crate::row::{Kind, Row, Value};
use crate::{csv, json, tsv};

/// Text is handed on in pieces of this size or a row more, always whole rows.
const BUFFER_LEN: usize = 64 << 10;

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Commas, and quotes where they are needed; an absent value is an empty cell
    #[default]
    Csv,
    /// Tabs, and no quotes: tab, line end and backslash in a text are \t, \n and \\
    Tsv,
    /// A JSON object a row, with the names of the columns; an absent value has no key
    Jsonl,
}

/// Writes rows of one set of columns.
#[derive(Debug)]
pub struct RowWriter<W> {
    out: W,
    buffer: Vec<u8>,
    columns: Vec<Column>,
    /// Names of the columns as JSON keys, each with what stands before its value.
    keys: Vec<Vec<u8>>,
    format: Format,
    has_header: bool,
}

impl<W: Write> RowWriter<W> {
    /// Writes `columns` to `out`. Nothing is written yet.
    pub fn new(out: W, format: Format, columns: Vec<Column>) -> Self {
        let keys = columns.iter().map(|column| json::key(column.name)).collect();
        let buffer = Vec::with_capacity(2 * BUFFER_LEN);
        Self { out, buffer, columns, keys, format, has_header: false }
    }

    /// Writes no names of columns.
    pub fn without_header(self) -> Self {
        Self { has_header: true, ..self }
    }

    /// Where rows go.
    pub fn out_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes the names of the columns; once, however often it is called, and not at all where each row has them.
    pub fn header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        match self.format {
            Format::Csv => self.cells(b',', |out, column| csv::write_text(out, column.name.as_bytes())),
            Format::Tsv => self.cells(b'\t', |out, column| tsv::write_text(out, column.name.as_bytes())),
            Format::Jsonl => Ok(()),
        }
    }

    /// Writes one row.
    pub fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        match self.format {
            Format::Csv => self.cells(b',', |out, column| {
                if let Some(value) = (column.value)(row) {
                    csv::write_value(out, &value);
                }
            }),
            Format::Tsv => self.cells(b'\t', |out, column| match (column.value)(row) {
                Some(Value::Text(text)) => tsv::write_text(out, &text),
                Some(value) => csv::write_value(out, &value),
                None => {}
            }),
            Format::Jsonl => self.object(row),
        }
    }

    /// Hands on what is still held, and returns where the rows went to.
    pub fn finish(mut self) -> io::Result<W> {
        self.hand_on()?;
        self.out.flush()?;
        Ok(self.out)
    }

    #[inline]
    fn cells(&mut self, separator: u8, write: impl Fn(&mut Vec<u8>, &Column)) -> io::Result<()> {
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                self.buffer.push(separator);
            }
            write(&mut self.buffer, column);
        }
        self.end_of_row()
    }

    fn object(&mut self, row: &Row<'_>) -> io::Result<()> {
        let start = self.buffer.len();
        for (column, key) in self.columns.iter().zip(&self.keys) {
            let Some(value) = (column.value)(row) else { continue };
            self.buffer.push(if self.buffer.len() == start { b'{' } else { b',' });
            self.buffer.extend_from_slice(key);
            json::write_value(&mut self.buffer, &value);
        }
        if self.buffer.len() == start {
            self.buffer.push(b'{');
        }
        self.buffer.push(b'}');
        self.end_of_row()
    }

    fn end_of_row(&mut self) -> io::Result<()> {
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_LEN { self.hand_on() } else { Ok(()) }
    }

    /// Hands on what is still held.
    pub fn hand_on(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        written
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
