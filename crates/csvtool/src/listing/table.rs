//! Lines, in order, as they are written.

use std::io::{self, Write};

use super::cell::compare;
use super::{Cell, Column, Layout};
use crate::formats::csv;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: units that fit, the columns that matter, and the totals of all below
    Table,
    /// All columns, plain numbers
    Csv,
    /// A JSON object a line
    Jsonl,
}

/// Which lines are written, and in which order.
pub struct Order<T: 'static> {
    /// By this column: numbers from the largest on, all else from the least; unknown ones last. `None`: as they come.
    pub by: Option<&'static Column<T>>,
    /// No more than so many.
    pub top: Option<usize>,
}

/// What people see.
pub struct People<T> {
    /// Titles of columns.
    pub header: &'static [&'static str],
    /// The cells of one row, with tabs between.
    pub row: fn(&T) -> String,
}

/// Writes a line for each thing.
pub struct Listing<T: 'static, W> {
    out: W,
    format: Format,
    columns: &'static [Column<T>],
    row: fn(&T) -> String,
    layout: Layout,
    order: Order<T>,
    /// Lines that are to be sorted.
    lines: Vec<(Option<Cell>, String)>,
    written: usize,
}

impl<T, W: Write> Listing<T, W> {
    /// With these columns, or what people see of them.
    pub fn new(out: W, format: Format, columns: &'static [Column<T>], people: People<T>, order: Order<T>) -> Self {
        let People { header, row } = people;
        let layout = Layout::new(header);
        Self { out, format, columns, row, layout, order, lines: Vec::new(), written: 0 }
    }

    /// Writes the names of columns, where they are written once.
    pub fn header(&mut self) -> io::Result<()> {
        match self.format {
            Format::Csv => {
                let names = self.columns.iter().map(|column| column.name.to_owned());
                self.out.write_all(csv_line(names).as_bytes())
            }
            Format::Table | Format::Jsonl => Ok(()),
        }
    }

    /// Takes the next one.
    pub fn add(&mut self, thing: &T) -> io::Result<()> {
        let line = self.line(thing);
        let Some(column) = self.order.by else {
            if self.order.top.is_some_and(|top| self.written >= top) {
                return Ok(());
            }
            self.written += 1;
            return self.write(line);
        };
        self.lines.push(((column.value)(thing), line));
        if self.order.top.is_some_and(|top| self.lines.len() >= 2 * top.max(500)) {
            self.sort();
        }
        Ok(())
    }

    /// Writes what was held: there is no more.
    pub fn finish(&mut self) -> io::Result<()> {
        self.sort();
        for (_, line) in std::mem::take(&mut self.lines) {
            self.write(line)?;
        }
        self.layout.finish(&mut self.out)
    }

    /// Writes the totals of all: these values, or for people what `human` writes.
    pub fn totals(
        &mut self,
        values: &[(&'static str, Option<Cell>)],
        human: impl FnOnce(&mut W) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => human(&mut self.out),
            Format::Csv => {
                let line = csv_line(values.iter().map(|(name, _)| (*name).to_owned()))
                    + &csv_line(values.iter().map(|(_, value)| value.as_ref().map(Cell::text).unwrap_or_default()));
                self.out.write_all(line.as_bytes())
            }
            Format::Jsonl => {
                let known = values.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.json())));
                self.out.write_all(json_line(known).as_bytes())
            }
        }
    }

    /// How lines are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Writes all that is not yet.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Puts lines in order, and drops those that are too many.
    fn sort(&mut self) {
        self.lines.sort_by(|(one, _), (other, _)| compare(one.as_ref(), other.as_ref()));
        self.lines.truncate(self.order.top.unwrap_or(usize::MAX));
    }

    fn line(&self, thing: &T) -> String {
        let values = self.columns.iter().map(|column| (column.name, (column.value)(thing)));
        match self.format {
            Format::Table => (self.row)(thing),
            Format::Csv => csv_line(values.map(|(_, value)| value.map(|cell| cell.text()).unwrap_or_default())),
            Format::Jsonl => json_line(values.filter_map(|(name, value)| Some((name, value?.json())))),
        }
    }

    fn write(&mut self, line: String) -> io::Result<()> {
        match self.format {
            Format::Table => self.layout.write(&mut self.out, line),
            Format::Csv | Format::Jsonl => self.out.write_all(line.as_bytes()),
        }
    }
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let mut line = Vec::new();
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            line.push(b',');
        }
        csv::write_text(&mut line, cell.as_bytes());
    }
    line.push(b'\n');
    String::from_utf8_lossy(&line).into_owned()
}

fn json_line<'a>(members: impl Iterator<Item = (&'a str, serde_json::Value)>) -> String {
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}\n", members.join(","))
}
