//! Our own protocol: what a client asks for, those open already, and what each came to.

use chrono::{DateTime, Utc};
use inetdiag::InetDiagMsg;
use serde::Serialize;

use super::Totals;
use super::v1::{Id, timestamp};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    event: &'static str,
    timestamp: String,
    #[serde(rename = "UUID")]
    uuid: &'a str,
    #[serde(rename = "ID")]
    id: Id,
    /// When it was first seen.
    start_time: String,
    /// Of `open`: whether it was open when the client came.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<bool>,
    /// Of `close`: seconds from the first sight to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    /// Of `close`: what the kernel counted, as its final record has it; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<&'a Totals>,
}

/// A connection that is open.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) header: Box<InetDiagMsg>,
    pub(super) start: DateTime<Utc>,
}

/// Appends the line that tells of a connection that came, or that had come before the client.
pub(super) fn write_open(line: &mut Vec<u8>, uuid: &str, connection: &Connection, replay: bool) {
    let event = Event { replay: Some(replay), ..event("open", uuid, connection, connection.start) };
    write(line, &event);
}

/// Appends the line that tells of one that is gone.
pub(super) fn write_close<'a>(
    line: &mut Vec<u8>,
    uuid: &'a str,
    connection: &Connection,
    time: DateTime<Utc>,
    totals: Option<&'a Totals>,
) {
    let milliseconds = (time - connection.start).num_milliseconds().max(0);
    let duration = Some(milliseconds as f64 / 1000.0);
    write(line, &Event { duration, totals, ..event("close", uuid, connection, time) });
}

fn event<'a>(event: &'static str, uuid: &'a str, connection: &Connection, time: DateTime<Utc>) -> Event<'a> {
    Event {
        event,
        timestamp: timestamp(time),
        uuid,
        id: Id::of(&connection.header),
        start_time: timestamp(connection.start),
        replay: None,
        duration: None,
        totals: None,
    }
}

fn write(line: &mut Vec<u8>, event: &Event<'_>) {
    if serde_json::to_writer(&mut *line, event).is_ok() {
        line.push(b'\n');
    }
}
