//! Writing lines. Each record of each poll passes here: JSON and base64 go straight into the caller's buffer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use zerocopy::IntoBytes;

use super::record::{Metadata, Origin};
use super::streams::Streams;
use crate::abi::attribute::{INET_DIAG_MD5SIG, INET_DIAG_SK_BPF_STORAGES, MAX_STORED};
use crate::abi::lists::{only_storage, without_md5_keys};
use crate::dump::Message;

/// Longest line that is written, in bytes. Go readers give up on a file at 65,536.
pub const MAX_LINE_LEN: usize = 65_000;
/// A longer value of extended statistics has to make room first.
const LONGEST_ESTATS: usize = 4096;

/// A time as archives write it: RFC 3339, UTC, cut to the millisecond, no trailing zeros.
///
/// Made once and [set](TimestampText::set) for each record: within one second only the fraction is written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampText {
    second: i64,
    text: String,
    /// Length of `text` up to the whole second.
    whole: usize,
}

impl TimestampText {
    /// Formats `time`.
    pub fn new(time: DateTime<Utc>) -> Self {
        let text = time.to_rfc3339_opts(SecondsFormat::Secs, false);
        let whole = text.trim_end_matches("+00:00").len();
        let mut this = Self { second: time.timestamp(), text, whole };
        this.set(time);
        this
    }

    /// Formats another time.
    pub fn set(&mut self, time: DateTime<Utc>) {
        if time.timestamp() != self.second {
            *self = Self::new(time);
            return;
        }
        self.text.truncate(self.whole);
        // A leap second counts on beyond 999.
        let millisecond = time.timestamp_subsec_millis().min(999);
        if millisecond > 0 {
            let digits = [millisecond / 100, millisecond / 10 % 10, millisecond % 10];
            let len = digits.iter().rposition(|&digit| digit > 0).map_or(0, |last| last + 1);
            self.text.push('.');
            self.text.extend(digits[..len].iter().map(|&digit| char::from(b'0' + digit as u8)));
        }
        self.text.push('Z');
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Appends the header line of a file.
pub fn encode_header(out: &mut Vec<u8>, metadata: &Metadata) -> serde_json::Result<()> {
    out.extend_from_slice(br#"{"Timestamp":"0001-01-01T00:00:00Z","Metadata":"#);
    serde_json::to_writer(&mut *out, metadata)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Appends one record, and returns how many of its attributes could not be stored.
///
/// Not stored are an attribute whose length cannot be right and all behind it, numbers over
/// [`MAX_STORED`](crate::attribute::MAX_STORED), all but the last of several with one number, and the largest ones of a
/// message that would exceed [`MAX_LINE_LEN`]. Keys of TCP MD5 signatures are overwritten with zeros. `streams` are always
/// stored: they take 3 KiB at most, so that a line without attributes has room for them. The value of extended statistics,
/// which is the one storage of a BPF program that a recorder asks for, is stored under its key, without the number of the map.
pub fn encode_record(
    out: &mut Vec<u8>,
    timestamp: &TimestampText,
    message: Message<'_>,
    origin: Origin,
    streams: Option<&Streams>,
) -> usize {
    let mut slots: [Option<&[u8]>; MAX_STORED as usize + 1] = [None; MAX_STORED as usize + 1];
    let mut dropped = 0;
    for attribute in message.attributes() {
        let Ok(attribute) = attribute else {
            dropped += 1;
            break;
        };
        match slots.get_mut(usize::from(attribute.kind)) {
            Some(slot) if attribute.kind != 0 => dropped += usize::from(slot.replace(attribute.payload).is_some()),
            _ => dropped += 1,
        }
    }
    let storages = &mut slots[usize::from(INET_DIAG_SK_BPF_STORAGES)];
    let mut estats = storages.and_then(only_storage);
    if estats.is_some() {
        *storages = None;
    }
    let start = out.len();
    loop {
        write_line(out, timestamp, message, &slots, origin, streams, estats);
        if out.len() - start <= MAX_LINE_LEN {
            return dropped;
        }
        out.truncate(start);
        if estats.is_some_and(|estats| estats.len() > LONGEST_ESTATS) {
            estats = None;
        } else if let Some(largest) = slots.iter_mut().max_by_key(|slot| slot.map_or(0, <[u8]>::len)) {
            *largest = None;
        }
        dropped += 1;
    }
}

fn write_line(
    out: &mut Vec<u8>,
    timestamp: &TimestampText,
    message: Message<'_>,
    slots: &[Option<&[u8]>],
    origin: Origin,
    streams: Option<&Streams>,
    estats: Option<&[u8]>,
) {
    out.extend_from_slice(br#"{"Timestamp":""#);
    out.extend_from_slice(timestamp.as_str().as_bytes());
    out.extend_from_slice(br#"","RawIDM":""#);
    write_base64(out, message.header().as_bytes());
    out.extend_from_slice(br#"","Attributes":["#);
    let stored = slots.iter().rposition(Option::is_some).map_or(1, |last| last + 1);
    for (kind, slot) in slots[..stored].iter().enumerate() {
        if kind > 0 {
            out.push(b',');
        }
        match slot {
            None => out.extend_from_slice(b"null"),
            Some(payload) => {
                out.push(b'"');
                if kind == usize::from(INET_DIAG_MD5SIG) {
                    write_base64(out, &without_md5_keys(payload));
                } else {
                    write_base64(out, payload);
                }
                out.push(b'"');
            }
        }
    }
    out.push(b']');
    match origin {
        Origin::Poll(number) => {
            out.extend_from_slice(br#","Poll":"#);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Origin::Destroy { is_final: true } => out.extend_from_slice(br#","Final":true"#),
        Origin::Destroy { is_final: false } => {}
    }
    if let Some(streams) = streams {
        out.extend_from_slice(br#","Streams":"#);
        // Numbers under fixed keys, into memory: that cannot fail.
        let _ = serde_json::to_writer(&mut *out, streams);
    }
    if let Some(estats) = estats {
        out.extend_from_slice(br#","Estats":""#);
        write_base64(out, estats);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::abi::InetDiagMsg;

    fn socket(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0u8; InetDiagMsg::SIZE];
        for (kind, payload) in attributes {
            bytes.extend_from_slice(&(4 + payload.len() as u16).to_ne_bytes());
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    fn line(attributes: &[(u16, &[u8])]) -> (String, usize) {
        let bytes = socket(attributes);
        let time = TimestampText::new(Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap());
        let mut out = Vec::new();
        let message = Message::new(&bytes).expect("long enough");
        let dropped = encode_record(&mut out, &time, message, Origin::Poll(7), None);
        (String::from_utf8(out).expect("ASCII"), dropped)
    }

    #[test]
    fn timestamps_lose_trailing_zeros_as_go_prints_them() {
        let at = |ms: i64| TimestampText::new(Utc.timestamp_millis_opt(1_577_934_245_000 + ms).unwrap()).text;
        assert_eq!(at(0), "2020-01-02T03:04:05Z");
        assert_eq!(at(90), "2020-01-02T03:04:05.09Z");
        assert_eq!(at(123), "2020-01-02T03:04:05.123Z");
        assert_eq!(at(55_000), "2020-01-02T03:05:00Z");
    }

    #[test]
    fn attributes_stand_at_their_number() {
        let (line, dropped) = line(&[(8, &[0]), (2, &[1, 2, 3])]);
        assert_eq!(dropped, 0);
        let idm = "A".repeat(96);
        let expected = format!(
            "{{\"Timestamp\":\"2026-01-02T03:04:05Z\",\"RawIDM\":\"{idm}\",\"Attributes\":[null,null,\"AQID\",null,null,null,null,null,\"AA==\"],\"Poll\":7}}\n"
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn a_socket_without_attributes_keeps_the_null_of_index_zero() {
        assert!(line(&[]).0.ends_with("\"Attributes\":[null],\"Poll\":7}\n"));
    }

    #[test]
    fn what_cannot_be_stored_is_counted() {
        let (text, dropped) = line(&[(64, &[1]), (0, &[1]), (5, &[9]), (5, &[0])]);
        assert_eq!(dropped, 3);
        assert!(text.ends_with("[null,null,null,null,null,\"AA==\"],\"Poll\":7}\n"));
    }

    #[test]
    fn a_line_never_exceeds_what_go_can_read() {
        let (text, dropped) = line(&[(20, &[7; 60_000]), (5, &[0])]);
        assert_eq!(dropped, 1);
        assert!(text.len() < MAX_LINE_LEN && text.contains("\"AA==\""));
    }

    #[test]
    fn md5_keys_never_reach_the_archive() {
        let (text, _) = line(&[(18, &[0x55; 100])]);
        let stored = text.rsplit('"').nth(3).expect("last attribute");
        let value = STANDARD.decode(stored).expect("base64");
        assert_eq!(value.len(), 100);
        assert!(value[20..].iter().all(|&b| b == 0));
    }
}
