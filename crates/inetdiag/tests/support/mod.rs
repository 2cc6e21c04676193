//! Where the data is, and the way from the bytes of a capture to sockets.

use std::path::PathBuf;
use std::{env, fs};

use chrono::{DateTime, Utc};
use inetdiag::{
    ArchivalRecord, ArchiveReader, InetDiagMsg, Message, NetlinkMessages, Origin, TimestampText, encode_record,
};
use zerocopy::IntoBytes;

pub(crate) mod compare;
pub(crate) mod golden;
pub(crate) mod invariants;
pub(crate) mod pcap;
pub(crate) mod ss;
pub(crate) mod streams;

/// `SOCK_DIAG_BY_FAMILY`: a request, or a socket of a reply.
pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// A file or directory of this repository's `testdata`.
pub(crate) fn testdata(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata")).join(name)
}

/// Data that is shared beside the repository, `None` (and a word to the reader) where it is not there.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if !path.exists() {
        skipped(format_args!("no {}", path.display()));
        return None;
    }
    Some(path)
}

/// The archives of the Go original, where there are any.
pub(crate) fn shared_archives() -> Vec<PathBuf> {
    let Some(directory) = shared("data/archives") else { return Vec::new() };
    let entries = fs::read_dir(directory).expect("can be listed").map(|entry| entry.expect("can be listed").path());
    entries.filter(|path| path.to_string_lossy().ends_with(".jsonl.zst")).collect()
}

/// All bytes of a file.
pub(crate) fn read(path: impl Into<PathBuf>) -> Vec<u8> {
    let path = path.into();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether expected files are to be written instead of compared.
pub(crate) fn updating() -> bool {
    env::var_os("UPDATE_EXPECTED").is_some()
}

/// Every socket in buffers of a dump, each with the sequence number of its reply or, for an event, of the reply before.
pub(crate) fn sockets(buffers: &[u8]) -> Vec<(u32, Message<'_>)> {
    let mut sequence = 0;
    let mut sockets = Vec::new();
    for message in NetlinkMessages::new(buffers) {
        let message = message.expect("captured whole");
        sequence = message.sequence.max(sequence);
        if message.kind == SOCK_DIAG_BY_FAMILY {
            sockets.push((sequence, Message::new(message.payload).expect("a socket")));
        }
    }
    sockets
}

/// A socket message with these attributes, as a kernel would send it.
pub(crate) fn message_bytes<'a>(
    header: &InetDiagMsg,
    attributes: impl IntoIterator<Item = (u16, &'a [u8])>,
) -> Vec<u8> {
    let mut bytes = header.as_bytes().to_vec();
    for (kind, payload) in attributes {
        bytes.extend((4 + payload.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A time for records of which the time does not matter.
pub(crate) fn some_time() -> TimestampText {
    TimestampText::new(DateTime::<Utc>::UNIX_EPOCH)
}

/// The record that an archive of this message gives back.
pub(crate) fn encoded_and_read(message: Message<'_>) -> ArchivalRecord {
    let mut line = Vec::new();
    assert_eq!(encode_record(&mut line, &some_time(), message, Origin::Poll(1), None), 0, "nothing is left out");
    let mut records = ArchiveReader::new(&*line);
    let record = records.next().expect("one line").expect("well formed");
    assert!(records.next().is_none());
    record
}

/// Says why a test is skipped, past the capture of what passing tests print.
pub(crate) fn skipped(reason: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
