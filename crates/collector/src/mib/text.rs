//! Tables for people.

use std::io::{self, Write};
use std::net::SocketAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use estats::{Datum, LISTENER_VARIABLES, Table, Unit, Variable};
use inetdiag::InetDiagMsg;

use super::watch::{Connection, Look};

/// Width where there is no terminal that has one.
const WIDTH: usize = 120;
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Writes tables: one look below the other, or each in place of the one before.
pub(super) struct Text<W> {
    out: W,
    tables: Vec<Table>,
    missing: Vec<String>,
    /// Whether this is a screen, on which a look has to fit.
    screen: bool,
    ended: usize,
}

impl<W: Write> Text<W> {
    /// Shows these tables, and says in each look what is `missing`.
    pub(super) fn new(out: W, tables: Vec<Table>, missing: Vec<String>, screen: bool) -> Self {
        Self { out, tables, missing, screen, ended: 0 }
    }

    /// Writes a look.
    pub(super) fn look(&mut self, look: &Look<'_>) -> io::Result<()> {
        let size = if self.screen { screen_size() } else { None };
        let width = size.map_or(WIDTH, |(width, _)| width);
        let mut lines = self.head(look);
        if self.tables.contains(&Table::Listener) && !look.listeners.is_empty() {
            lines.extend(listeners(look));
        }
        for connection in self.has_connections().then_some(&look.connections).into_iter().flatten() {
            lines.extend(self.connection(connection, width));
            // No more than can be seen.
            if size.is_some_and(|(_, height)| lines.len() >= height) {
                break;
            }
        }
        if let Some((_, height)) = size {
            let room = height.saturating_sub(1);
            if lines.len() > room {
                lines.truncate(room.saturating_sub(1));
                lines.push("... more than fits here: choose by --table and filters, or write to a file".to_owned());
            }
            for line in &mut lines {
                *line = line.chars().take(width).collect();
            }
            write!(self.out, "{CLEAR}")?;
        }
        self.ended = 0;
        self.write(&lines)
    }

    /// Writes a connection that has ended; on a screen, only that there was one.
    pub(super) fn end(&mut self, connection: &Connection) -> io::Result<()> {
        self.ended += 1;
        if self.screen || !self.has_connections() {
            return Ok(());
        }
        let lines = self.connection(connection, WIDTH);
        self.write(&lines)
    }

    fn has_connections(&self) -> bool {
        self.tables != [Table::Listener]
    }

    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        for line in lines {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()
    }

    fn head(&self, look: &Look<'_>) -> Vec<String> {
        let time = look.time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (open, ended, listeners) = (look.connections.len(), self.ended, look.listeners.len());
        let head = format!("{time}  {open} connections open, {ended} ended since, {listeners} listeners");
        std::iter::once(head).chain(self.missing.iter().cloned()).chain([String::new()]).collect()
    }

    fn connection(&self, connection: &Connection, width: usize) -> Vec<String> {
        let (from, to) = (local(&connection.header), remote(&connection.header));
        let partial = if connection.is_partial() == Some(true) { "  counted in part" } else { "" };
        let mut lines = vec![format!("{from} > {to}  {}  {:016X}{partial}", connection.state(), connection.cookie)];
        for &table in self.tables.iter().filter(|&&table| table != Table::Listener) {
            let cell = |(variable, datum): (&Variable, _)| {
                format!("{} {}{}", variable.name, value(datum), unit(variable.unit))
            };
            let cells: Vec<_> = connection.variables(table).map(cell).collect();
            if !cells.is_empty() {
                lines.push(format!("  {table:?}"));
                lines.extend(in_columns(&cells, width));
            }
        }
        lines.push(String::new());
        lines
    }
}

/// The table of listeners, a line each.
fn listeners(look: &Look<'_>) -> Vec<String> {
    let mut rows = vec![
        std::iter::once("Listener".to_owned())
            .chain(LISTENER_VARIABLES.iter().map(|it| it.name.to_owned()))
            .collect::<Vec<_>>(),
    ];
    for listener in &look.listeners {
        let cells = LISTENER_VARIABLES.iter().map(|variable| variable.of(listener).map_or("-".to_owned(), value));
        rows.push(std::iter::once(local(&listener.header)).chain(cells).collect());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
    rows.iter().map(line).chain([String::new()]).collect()
}

/// One below the other, in as many columns as there is width for.
fn in_columns(cells: &[String], width: usize) -> Vec<String> {
    const INDENT: &str = "    ";
    let widest = cells.iter().map(String::len).max().unwrap_or(0) + 2;
    let columns = (width.saturating_sub(INDENT.len()) / widest).max(1);
    let rows = cells.len().div_ceil(columns);
    let row = |row: usize| {
        let cells = cells.iter().skip(row).step_by(rows);
        INDENT.to_owned() + &cells.map(|cell| format!("{cell:widest$}")).collect::<String>()
    };
    (0..rows).map(row).collect()
}

fn value(datum: Datum) -> String {
    match datum {
        Datum::Date(nanoseconds) => date(nanoseconds),
        other => other.to_string(),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Octets => " octets",
        Unit::Seconds => " s",
        Unit::Milliseconds => " ms",
        Unit::Microseconds => " us",
    }
}

/// A date, to the microsecond.
pub(super) fn date(nanoseconds: u64) -> String {
    let date = i64::try_from(nanoseconds).map(DateTime::<Utc>::from_timestamp_nanos).unwrap_or_default();
    date.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Address and port of this side.
pub(super) fn local(header: &InetDiagMsg) -> String {
    SocketAddr::new(header.src().to_canonical(), header.id.idiag_sport.get()).to_string()
}

/// Address and port of the other side.
pub(super) fn remote(header: &InetDiagMsg) -> String {
    SocketAddr::new(header.dst().to_canonical(), header.id.idiag_dport.get()).to_string()
}

/// Columns and lines of the terminal on standard output.
fn screen_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}
