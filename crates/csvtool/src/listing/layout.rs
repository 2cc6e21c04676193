//! Columns that line up.

use std::io::{self, Write};

/// Rows that are looked at to see how wide columns are.
const LOOKED_AT: usize = 1000;

/// Writes rows, whose cells have tabs between, so that columns line up: as wide as the first rows need.
#[derive(Debug)]
pub struct Layout {
    header: &'static [&'static str],
    widths: Vec<usize>,
    waiting: Vec<String>,
}

impl Layout {
    /// Columns with these titles.
    pub fn new(header: &'static [&'static str]) -> Self {
        Self { header, widths: Vec::new(), waiting: Vec::new() }
    }

    /// Takes the next row.
    pub fn write(&mut self, out: &mut impl Write, row: String) -> io::Result<()> {
        if !self.widths.is_empty() {
            return self.line(out, &row);
        }
        self.waiting.push(row);
        if self.waiting.len() < LOOKED_AT { Ok(()) } else { self.finish(out) }
    }

    /// Writes what waits.
    pub fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let header = self.header.join("\t");
        self.widths = vec![0; self.header.len()];
        for row in std::iter::once(&header).chain(&waiting) {
            for (width, cell) in self.widths.iter_mut().zip(row.split('\t')) {
                *width = cell.chars().count().max(*width);
            }
        }
        self.line(out, &header)?;
        waiting.iter().try_for_each(|row| self.line(out, row))
    }

    fn line(&self, out: &mut impl Write, row: &str) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in row.split('\t').zip(&self.widths) {
            // A name may be anything: nothing in it moves the cursor.
            let plain = cell.replace(char::is_control, "?");
            line += &format!("{plain:<width$}  ");
        }
        writeln!(out, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_names_move_no_cursor() {
        let mut out = Vec::new();
        let mut layout = Layout::new(&["LOCAL", "REMOTE", "STATE"]);
        layout.write(&mut out, "a\tlonger than its title\tc\x1b[2J".to_owned()).expect("in memory");
        layout.finish(&mut out).expect("in memory");
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].find("STATE"), lines[1].find("c?[2J"));
    }
}
