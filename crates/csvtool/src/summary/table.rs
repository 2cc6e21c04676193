//! Summaries of connections, joined over their files, sorted, and written.

use std::cmp::Ordering;
use std::io::{self, Write};

use super::Summary;
use super::columns::{ALL, Cell, Column};
use super::human::{self, Layout};
use super::totals::Totals;
use crate::convert::Name;
use crate::formats::csv;
use crate::join::{Joiner, Names};
use crate::output::Sink;

/// How summaries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: units that fit, the columns that matter, and the totals of all below
    Table,
    /// All columns, plain numbers
    Csv,
    /// A JSON object a connection
    Jsonl,
}

/// Which connections are written, and in which order.
#[derive(Clone, Copy, Default)]
pub struct Order {
    /// By this column: numbers from the largest on, all else from the least; unknown ones last. `None`: as they come.
    pub by: Option<&'static Column>,
    /// No more than so many.
    pub top: Option<usize>,
}

/// Joins what archives tell of connections, and writes a line for each.
pub struct SummaryTable<W> {
    joiner: Joiner<Summary>,
    out: W,
    format: Format,
    order: Order,
    only_totals: bool,
    /// Lines that are to be sorted.
    lines: Vec<(Option<Cell>, String)>,
    written: usize,
    layout: Layout,
    totals: Totals,
}

impl<W: Write> SummaryTable<W> {
    /// Of archives with these names; `only_totals`: of all connections together.
    pub fn new(out: W, names: Names, format: Format, order: Order, only_totals: bool) -> io::Result<Self> {
        let mut table = Self {
            joiner: Joiner::new(names),
            out,
            format,
            order,
            only_totals,
            lines: Vec::new(),
            written: 0,
            layout: Layout::default(),
            totals: Totals::default(),
        };
        table.header().map(|()| table)
    }

    fn add(&mut self, summary: &Summary) -> io::Result<()> {
        self.totals.add(summary);
        if self.only_totals {
            return Ok(());
        }
        let line = self.line(summary);
        let Some(column) = self.order.by else {
            if self.order.top.is_some_and(|top| self.written >= top) {
                return Ok(());
            }
            self.written += 1;
            return self.write(line);
        };
        self.lines.push(((column.value)(summary), line));
        if self.order.top.is_some_and(|top| self.lines.len() >= 2 * top.max(500)) {
            self.sort();
        }
        Ok(())
    }

    /// Puts lines in order, and drops those that are too many.
    fn sort(&mut self) {
        self.lines.sort_by(|(one, _), (other, _)| compare(one.as_ref(), other.as_ref()));
        self.lines.truncate(self.order.top.unwrap_or(usize::MAX));
    }

    fn line(&self, summary: &Summary) -> String {
        let values = ALL.iter().map(|column| (column.name, (column.value)(summary)));
        match self.format {
            Format::Table => human::row(summary),
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

    fn header(&mut self) -> io::Result<()> {
        match self.format {
            Format::Csv if !self.only_totals => {
                self.out.write_all(csv_line(ALL.iter().map(|column| column.name.to_owned())).as_bytes())
            }
            _ => Ok(()),
        }
    }

    fn write_totals(&mut self) -> io::Result<()> {
        let values = self.totals.values();
        match self.format {
            Format::Table => self.totals.human(&mut self.out),
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
}

impl<W: Write> Sink<Box<Summary>> for SummaryTable<W> {
    fn take(&mut self, summary: Box<Summary>) -> io::Result<()> {
        self.joiner.take(*summary);
        Ok(())
    }

    fn end(&mut self, archive: &Name) -> io::Result<()> {
        self.joiner.end(archive).iter().try_for_each(|summary| self.add(summary))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.joiner.finish().try_for_each(|summary| self.add(&summary))?;
        self.sort();
        for (_, line) in std::mem::take(&mut self.lines) {
            self.write(line)?;
        }
        self.layout.finish(&mut self.out)?;
        if self.only_totals || self.format == Format::Table {
            self.write_totals()?;
        }
        self.out.flush()
    }
}

/// Numbers from the largest on, all else from the least, and what is not known last.
fn compare(one: Option<&Cell>, other: Option<&Cell>) -> Ordering {
    let number = |cell: &Cell| match cell {
        Cell::Flag(flag) => Some(f64::from(u8::from(*flag))),
        Cell::Count(count) => Some(*count as f64),
        Cell::Number(number, _) => Some(*number),
        Cell::Text(_) | Cell::Time(_) => None,
    };
    match (one, other) {
        (Some(one), Some(other)) => match (number(one), number(other)) {
            (Some(one), Some(other)) => other.total_cmp(&one),
            _ => one.text().cmp(&other.text()),
        },
        (one, other) => other.is_some().cmp(&one.is_some()),
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
