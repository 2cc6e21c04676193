//! A JSON object a line: each connection, each listener.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use estats::{Datum, LISTENER_VARIABLES, Listener, Table};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::text::{date, local, remote};
use super::watch::{Connection, Look};

/// Writes lines of JSON.
pub(super) struct Json<W> {
    out: W,
    tables: Vec<Table>,
}

impl<W: Write> Json<W> {
    /// Shows these tables.
    pub(super) fn new(out: W, tables: Vec<Table>) -> Self {
        Self { out, tables }
    }

    /// Writes a look.
    pub(super) fn look(&mut self, look: &Look<'_>) -> io::Result<()> {
        look.connections.iter().try_for_each(|connection| self.connection(connection))?;
        if self.tables.contains(&Table::Listener) {
            for listener in &look.listeners {
                write(&mut self.out, &ListenerLine { listener, time: look.time })?;
            }
        }
        self.out.flush()
    }

    /// Writes a connection that has ended.
    pub(super) fn end(&mut self, connection: &Connection) -> io::Result<()> {
        self.connection(connection)
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        if self.tables == [Table::Listener] {
            return Ok(());
        }
        write(&mut self.out, &ConnectionLine { connection, tables: &self.tables })
    }
}

fn write(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(line)?)
}

struct ConnectionLine<'a> {
    connection: &'a Connection,
    tables: &'a [Table],
}

impl Serialize for ConnectionLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { connection, tables } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("Timestamp", &timestamp(connection.time))?;
        map.serialize_entry("Cookie", &format!("{:016X}", connection.cookie))?;
        map.serialize_entry("State", connection.state())?;
        map.serialize_entry("Local", &local(&connection.header))?;
        map.serialize_entry("Remote", &remote(&connection.header))?;
        map.serialize_entry("Ended", &connection.has_ended)?;
        if let Some(is_partial) = connection.is_partial() {
            map.serialize_entry("Partial", &is_partial)?;
        }
        for &table in tables.iter().filter(|&&table| table != Table::Listener) {
            let known = connection.variables(table).map(|(variable, datum)| (variable.name, datum));
            map.serialize_entry(&format!("{table:?}"), &Variables(known.collect()))?;
        }
        map.end()
    }
}

struct ListenerLine<'a> {
    listener: &'a Listener,
    time: DateTime<Utc>,
}

impl Serialize for ListenerLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { listener, time } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("Timestamp", &timestamp(*time))?;
        map.serialize_entry("Cookie", &format!("{:016X}", listener.header.id.cookie()))?;
        map.serialize_entry("State", "LISTEN")?;
        map.serialize_entry("Local", &local(&listener.header))?;
        let known = LISTENER_VARIABLES.iter().filter_map(|variable| Some((variable.name, variable.of(listener)?)));
        map.serialize_entry("Listener", &Variables(known.collect()))?;
        map.end()
    }
}

fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Variables of a table, in its order.
struct Variables(Vec<(&'static str, Datum)>);

impl Serialize for Variables {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|&(name, datum)| (name, Cell(datum))))
    }
}

struct Cell(Datum);

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Datum::Number(number) => serializer.serialize_u64(number),
            Datum::Integer(number) => serializer.serialize_i32(number),
            Datum::Truth(truth) => serializer.serialize_bool(truth),
            Datum::Code(_, name) => serializer.serialize_str(name),
            Datum::Octet(octet) => serializer.serialize_u8(octet),
            Datum::Milliseconds { micros } if micros % 1000 == 0 => serializer.serialize_u64(micros / 1000),
            Datum::Milliseconds { .. } => serializer.serialize_f64(self.0.to_f64()),
            Datum::Date(nanoseconds) => serializer.serialize_str(&date(nanoseconds)),
        }
    }
}
