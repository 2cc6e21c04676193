//! The protocol of the Go original: one JSON object per line, for every connection as it comes and goes.

use chrono::{DateTime, SecondsFormat, Utc};
use inetdiag::InetDiagMsg;
use serde::Serialize;

use super::{Note, NoteKind};

/// `Event` of the two kinds.
const OPEN: u8 = 0;
const CLOSE: u8 = 1;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    event: u8,
    timestamp: String,
    #[serde(rename = "UUID")]
    uuid: &'a str,
    #[serde(rename = "ID")]
    id: Option<Id>,
}

/// The ends of a connection.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Id {
    #[serde(rename = "SPort")]
    sport: u16,
    #[serde(rename = "DPort")]
    dport: u16,
    #[serde(rename = "SrcIP")]
    src: String,
    #[serde(rename = "DstIP")]
    dst: String,
    #[serde(rename = "Interface")]
    interface: u32,
    #[serde(rename = "Cookie")]
    cookie: u64,
}

impl Id {
    pub(super) fn of(header: &InetDiagMsg) -> Self {
        Self {
            sport: header.id.idiag_sport.get(),
            dport: header.id.idiag_dport.get(),
            // As Go prints them: v4-mapped ones as those of IPv4.
            src: header.src().to_canonical().to_string(),
            dst: header.dst().to_canonical().to_string(),
            interface: header.id.idiag_if.get(),
            cookie: header.id.cookie(),
        }
    }
}

/// RFC 3339, with no digits that say nothing.
pub(super) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Appends the line that tells of a note.
pub(super) fn write(line: &mut Vec<u8>, note: &Note, uuid: &str) {
    let (event, id) = match &note.kind {
        NoteKind::Open(header) => (OPEN, Some(Id::of(header))),
        NoteKind::Close(_) => (CLOSE, None),
    };
    let event = Event { event, timestamp: timestamp(note.time), uuid, id };
    if serde_json::to_writer(&mut *line, &event).is_ok() {
        line.push(b'\n');
    }
}
