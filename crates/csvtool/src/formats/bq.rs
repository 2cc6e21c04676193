//! Rows of the BigQuery table `tcpinfo`, as newline-delimited JSON: one for each archive, with the last snapshot of its
//! connection, and every tenth of all.
//!
//! Names, nesting and the ranges of numbers are those of the table that the parser of the original fills; see
//! [`SNAPSHOT`] for the four columns that are not what the kernel calls so. Absent is null, where that parser writes 0.
//! A row is written as its archive is read, so that memory does not grow with it: what is only known at the end comes
//! last, whatever the order of the columns.

use std::io::Write;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, SecondsFormat, SubsecRound, Utc};
use inetdiag::columns::{self, Column, Connection, Row, Value, ValueOf};
use inetdiag::{ArchivalRecord, TcpInfo};

use super::json;
use crate::compat::masks;
use crate::convert::{Give, Name, Product};
use crate::pipeline::Stopped;

/// Text is handed on in pieces of this size or a snapshot more.
const PIECE_LEN: usize = 64 << 10;
/// Of so many snapshots one is kept.
const EVERY: u64 = 10;

/// The records of a snapshot: name, how the names of its columns begin here and there, and how many there are.
const GROUPS: [(&str, &str, &str, usize); 7] = [
    ("InetDiagMsg", "IDM.", "IDiag", 9),
    ("TCPInfo", "TCP.", "", 54),
    ("MemInfo", "MemInfo.", "", 4),
    ("SocketMem", "SKMemInfo.", "", 9),
    ("VegasInfo", "Vegas.", "", 4),
    ("DCTCPInfo", "DCTCP.", "", 5),
    ("BBRInfo", "BBR.", "", 4),
];

/// Columns of the table that have values of their own.
pub const SNAPSHOT: [(&str, ValueOf); 4] = [
    // The lowest byte of 32 bits.
    ("ClassID", |r| r.snapshot(|snapshot| snapshot.class_id.map(|id| id as u8))),
    // The whole byte that the flag is in.
    ("TCP.AppLimited", |r| r.tcp(TcpInfo::delivery_flags)),
    // Signed numbers of 32 bits.
    ("TCP.SegsOut", |r| r.tcp(|info| info.segs_out().map(u32::cast_signed))),
    ("TCP.SegsIn", |r| r.tcp(|info| info.segs_in().map(u32::cast_signed))),
];

/// A column as a member of an object.
struct Member {
    key: Vec<u8>,
    value: ValueOf,
}

impl Member {
    fn of(column: &Column, name: &str) -> Self {
        let own = SNAPSHOT.iter().find(|(name, _)| *name == column.name);
        Self { key: json::key(name), value: own.map_or(column.value, |(_, value)| *value) }
    }
}

/// Writes a row for each archive.
pub struct BqRows {
    plain: Vec<Member>,
    groups: Vec<(Vec<u8>, Vec<Member>)>,
    socket: Vec<Member>,
    text: Vec<u8>,
    row: Option<Open>,
    /// The last snapshot of the row.
    last: ArchivalRecord,
}

/// A row that is being written.
struct Open {
    connection: Connection,
    time: DateTime<FixedOffset>,
    snapshots: u64,
}

impl Default for BqRows {
    fn default() -> Self {
        Self::new()
    }
}

impl BqRows {
    /// Without a row yet.
    pub fn new() -> Self {
        const PLAIN: [&str; 7] = ["CongestionAlgorithm", "TOS", "TClass", "ClassID", "Shutdown", "Protocol", "Mark"];
        const SOCKET: [(&str, &str); 6] = [
            ("SPort", "SPort"),
            ("DPort", "DPort"),
            ("SrcIP", "Src"),
            ("DstIP", "Dst"),
            ("Interface", "Interface"),
            ("Cookie", "Cookie"),
        ];
        let original = || columns::ORIGINAL.into_iter().flatten();
        let named = |name: &str| original().find(|column| column.name == name);
        let plain = PLAIN.iter().filter_map(|name| named(name).map(|column| Member::of(column, name))).collect();
        let socket = SOCKET
            .iter()
            .filter_map(|(name, ours)| named(&format!("IDM.SockID.{ours}")).map(|column| Member::of(column, name)))
            .collect();
        let group = |(name, ours, theirs, _): (&str, &str, &str, usize)| {
            let members = original().filter_map(|column| {
                let rest = column.name.strip_prefix(ours).filter(|rest| !rest.starts_with("SockID."))?;
                Some(Member::of(column, &format!("{theirs}{rest}")))
            });
            (json::key(name), members.collect())
        };
        let groups = GROUPS.into_iter().map(group).collect();
        let last = ArchivalRecord::default();
        Self { plain, groups, socket, text: Vec::new(), row: None, last }
    }

    /// Writes one snapshot.
    fn snapshot(&mut self, row: &Row<'_>, masks: (u64, u64)) {
        let Self { plain, groups, text, .. } = self;
        text.extend_from_slice(b"{\"Timestamp\":");
        time(text, row.snapshot.timestamp);
        let _ = write!(text, ",\"Observed\":{},\"NotFullyParsed\":{}", masks.0, masks.1);
        for Member { key, value } in plain.iter() {
            text.push(b',');
            text.extend_from_slice(key);
            write_value(text, value(row));
        }
        for (key, members) in groups.iter() {
            text.push(b',');
            text.extend_from_slice(key);
            object(text, members, row);
        }
        text.push(b'}');
    }

    /// Ends the row: with all that was not known before.
    fn close(&mut self, archive: Option<(&Name, u64)>) {
        let Some(open) = self.row.take() else { return };
        let last = std::mem::take(&mut self.last);
        let masks = masks(&last);
        let row = Row::new(&last, &open.connection);
        if open.snapshots % EVERY != 1 {
            self.text.push(b',');
            self.snapshot(&row, masks);
        }
        self.text.extend_from_slice(b"]},\"a\":{\"SockID\":");
        object(&mut self.text, &self.socket, &row);
        self.text.extend_from_slice(b",\"FinalSnapshot\":");
        self.snapshot(&row, masks);
        let (name, len) = archive.unzip();
        let (tar, file) = (name.and_then(|name| name.tar.as_deref()), name.map(|name| name.path.as_str()));
        let parser = serde_json::json!({
            "Version": concat!("csvtool ", env!("CARGO_PKG_VERSION")),
            "Time": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "ArchiveURL": tar,
            "Filename": file,
            "Priority": null,
            "GitCommit": null,
            "ArchiveSize": null,
            "FileSize": len,
        });
        let date = file.and_then(date_of).or_else(|| utc(open.time).map(|time| time.date_naive()));
        let date = serde_json::json!(date.map(|date| date.to_string()));
        let _ = writeln!(self.text, "}},\"parser\":{parser},\"date\":{date}}}");
        self.last = last;
    }
}

impl Product for BqRows {
    type Made = Vec<u8>;

    fn record(
        &mut self,
        record: &mut ArchivalRecord,
        connection: &Connection,
        give: Give<'_, Vec<u8>>,
    ) -> Result<bool, Stopped> {
        // The parser knows a snapshot by its attributes.
        if record.raw_idm.is_none() || record.attributes.iter().next().is_none() {
            return Ok(false);
        }
        if self.row.as_ref().is_some_and(|open| open.connection.uuid() != connection.uuid()) {
            self.close(None);
        }
        let is_first = self.row.is_none();
        if is_first {
            begin(&mut self.text, connection);
        }
        let time = record.timestamp;
        let open = self.row.get_or_insert_with(|| Open { connection: connection.clone(), time, snapshots: 0 });
        open.snapshots += 1;
        if open.snapshots % EVERY == 1 {
            if !is_first {
                self.text.push(b',');
            }
            self.snapshot(&Row::new(record, connection), masks(record));
        }
        std::mem::swap(record, &mut self.last);
        if self.text.len() >= PIECE_LEN {
            self.finish(give)?;
        }
        Ok(true)
    }

    fn end(&mut self, archive: &Name, text: u64, give: Give<'_, Vec<u8>>) -> Result<(), Stopped> {
        self.close(Some((archive, text)));
        if self.text.len() >= PIECE_LEN { self.finish(give) } else { Ok(()) }
    }

    fn finish(&mut self, give: Give<'_, Vec<u8>>) -> Result<(), Stopped> {
        if self.text.is_empty() { Ok(()) } else { give(std::mem::take(&mut self.text)) }
    }
}

/// Begins a row, up to its snapshots.
fn begin(text: &mut Vec<u8>, connection: &Connection) {
    let metadata = connection.metadata();
    let uuid = serde_json::json!(connection.uuid());
    let sequence = serde_json::json!(metadata.map(|metadata| metadata.sequence));
    let _ =
        write!(text, "{{\"id\":{uuid},\"raw\":{{\"Metadata\":{{\"UUID\":{uuid},\"Sequence\":{sequence},\"StartTime\":");
    time(text, metadata.map(|metadata| metadata.start_time));
    text.extend_from_slice(b"},\"Snapshots\":[");
}

/// The members of an object; null if not one of them has a value.
fn object(text: &mut Vec<u8>, members: &[Member], row: &Row<'_>) {
    let start = text.len();
    let mut is_there = false;
    for (number, Member { key, value }) in members.iter().enumerate() {
        text.push(if number == 0 { b'{' } else { b',' });
        text.extend_from_slice(key);
        let value = value(row);
        is_there |= value.is_some();
        write_value(text, value);
    }
    if is_there {
        text.push(b'}');
    } else {
        text.truncate(start);
        text.extend_from_slice(b"null");
    }
}

fn write_value(text: &mut Vec<u8>, value: Option<Value<'_>>) {
    match value {
        None => text.extend_from_slice(b"null"),
        // All numbers of the table are signed ones of 64 bits.
        Some(Value::Uint(number) | Value::Hex(number)) => json::write_value(text, &Value::Int(number.cast_signed())),
        Some(value) => json::write_value(text, &value),
    }
}

/// A time as BigQuery has it: in UTC, to the microsecond; null if there is none.
fn time(text: &mut Vec<u8>, time: Option<DateTime<FixedOffset>>) {
    let time = time.and_then(utc);
    write_value(text, time.map(|time| Value::Time(time.trunc_subsecs(6).fixed_offset())));
}

/// In UTC; `None` if it is no time, or one that the table cannot hold.
fn utc(time: DateTime<FixedOffset>) -> Option<DateTime<Utc>> {
    let utc = time.to_utc();
    (!columns::is_zero_time(&time) && (1..=9999).contains(&utc.year())).then_some(utc)
}

/// The date in the path of an archive.
fn date_of(path: &str) -> Option<NaiveDate> {
    let mut parts = path.rsplit('/').skip(1);
    let [day, month, year] = [parts.next()?, parts.next()?, parts.next()?];
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use inetdiag::columns::Kind;

    use super::*;

    #[test]
    fn each_record_of_a_snapshot_has_the_columns_of_the_table() {
        let rows = BqRows::new();
        for ((name, _, _, count), (_, members)) in GROUPS.iter().zip(&rows.groups) {
            assert_eq!(members.len(), *count, "{name}");
        }
        assert_eq!((rows.plain.len(), rows.socket.len()), (7, 6));
        for (name, _) in SNAPSHOT {
            assert!(columns::find(name).is_some_and(|column| column.kind != Kind::Text), "{name}");
        }
    }

    #[test]
    fn dates_are_those_of_the_tree() {
        assert_eq!(date_of("/archive/2026/01/02/x.jsonl.zst"), NaiveDate::from_ymd_opt(2026, 1, 2));
        assert!(["x.jsonl", "2026/x.jsonl", "a/2026/13/02/x", ""].iter().all(|path| date_of(path).is_none()));
    }
}
