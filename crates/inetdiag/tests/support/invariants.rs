//! What must hold of any bytes whatever. Property tests and fuzz targets both drive these functions.

#![allow(dead_code, reason = "each fuzz target drives its part")]

use std::io::Cursor;

use chrono::DateTime;
use inetdiag::{ArchivalRecord, ArchiveReader, InetDiagMsg, MAX_LINE_LEN, Message, NetlinkMessages};
use inetdiag::{Origin, Snapshot, TimestampText, encode_record};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NETLINK_HEADER_LEN: usize = 16;
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// Takes a reply apart in all ways there are, and returns how many of its messages were whole.
pub(crate) fn of_reply(buffer: &[u8]) -> usize {
    let mut whole = 0;
    for (number, message) in NetlinkMessages::new(buffer).enumerate() {
        assert!(number <= buffer.len() / NETLINK_HEADER_LEN, "the walk does not end");
        let Ok(message) = message else { continue };
        whole += 1;
        if message.kind == SOCK_DIAG_BY_FAMILY {
            of_socket(message.payload);
        }
    }
    whole
}

/// Decodes a socket message, and archives it: both must tell the same.
pub(crate) fn of_socket(payload: &[u8]) {
    let Ok(message) = Message::new(payload) else {
        assert!(payload.len() < InetDiagMsg::SIZE);
        return;
    };
    let attributes = message.attributes().count();
    assert!(attributes <= payload.len() / ATTRIBUTE_HEADER_LEN, "the walk does not end");
    let direct = Snapshot::of_message(message);
    assert!(direct.malformed.len() <= attributes);
    let (record, dropped) = archived(message, false);
    assert!(dropped <= attributes);
    if dropped == 0 {
        let from_archive = Snapshot::decode(&record);
        // Places are counted from the start of the message, or of the value: only the number of faults is the same.
        assert_eq!(from_archive.malformed.len(), direct.malformed.len());
        let from_archive = Snapshot { timestamp: None, malformed: Vec::new(), ..from_archive };
        assert_eq!(from_archive, Snapshot { malformed: Vec::new(), ..direct });
    }
}

/// Writes a message as a line, reads the line, and returns the record and how many attributes are not in it.
fn archived(message: Message<'_>, is_final: bool) -> (ArchivalRecord, usize) {
    let mut line = Vec::new();
    let dropped = encode_record(
        &mut line,
        &TimestampText::new(DateTime::UNIX_EPOCH),
        message,
        Origin::Destroy { is_final },
        None,
    );
    assert!(line.len() <= MAX_LINE_LEN && line.iter().filter(|byte| **byte == b'\n').count() == 1);
    let record = ArchiveReader::new(&*line).next().expect("a line").expect("what is written can be read");
    assert_eq!((record.raw_idm.as_ref(), record.is_final), (Some(message.header()), is_final));
    (record, dropped)
}

/// Reads decompressed text to its end, and returns how many lines were good and how many were not.
pub(crate) fn of_text(text: &[u8]) -> (usize, usize) {
    let mut reader = ArchiveReader::new(text);
    let (mut good, mut bad) = (0, 0);
    for item in reader.by_ref() {
        match item {
            Ok(record) => {
                let _ = (Snapshot::decode(&record), format!("{record:?}"));
                good += 1;
            }
            Err(error) => {
                assert!(error.offset < text.len() as u64 && error.line > 0 && !error.to_string().is_empty());
                bad += 1;
            }
        }
    }
    assert_eq!(reader.offset(), text.len() as u64, "everything was looked at");
    assert!(good + bad <= text.split(|byte| *byte == b'\n').count());
    (good, bad)
}

/// Reads a file, compressed or not, to its end. It may be cut in one place only.
pub(crate) fn of_archive(file: &[u8]) {
    let mut is_over = false;
    for item in ArchiveReader::sniff(Cursor::new(file.to_vec())).expect("in memory") {
        assert!(!is_over, "nothing comes after an error of input");
        match item {
            Ok(record) => drop(Snapshot::decode(&record)),
            Err(error) => is_over = matches!(error.fault, inetdiag::ReadFault::Io(_)),
        }
    }
}
