//! Archives that M-Lab's Go original wrote: read without a fault, and written again byte for byte.
//!
//! They are not in this repository; where they are not beside it either, these tests pass and say so.

use chrono::{SubsecRound, Utc};
use inetdiag::{ArchivalRecord, Message, Origin, Snapshot, TimestampText, encode_header, encode_record};

use crate::support::{message_bytes, read, shared_archives};

fn records(file: &[u8]) -> Vec<ArchivalRecord> {
    let reader = inetdiag::ArchiveReader::sniff(std::io::Cursor::new(file.to_vec())).expect("in memory");
    reader.collect::<Result<_, _>>().expect("every line is well formed")
}

#[test]
fn every_line_is_read_and_of_one_connection() {
    for path in shared_archives() {
        let records = records(&read(&path));
        let (header, records) = records.split_first().expect("a header");
        let metadata = header.metadata.as_ref().expect("the first line is the header");
        assert!(!records.is_empty() && header.raw_idm.is_none(), "{}", path.display());
        assert!(records.is_sorted_by_key(|record| record.timestamp), "{}", path.display());
        assert!(metadata.start_time <= records[0].timestamp, "{}", path.display());
        for record in records {
            let idm = record.raw_idm.expect("a record has a socket");
            assert!(metadata.uuid.ends_with(&format!("_{:016X}", idm.id.cookie())), "{}", path.display());
            let snapshot = Snapshot::decode(record);
            assert_eq!(snapshot.malformed, [], "{}", path.display());
            assert_eq!(snapshot.not_fully_parsed, 0, "{}", path.display());
            assert!(record.metadata.is_none() && record.poll.is_none() && !record.is_final, "{}", path.display());
        }
    }
}

/// The text of a line without the value of its first `Timestamp`, and that value.
fn split_timestamp(line: &str) -> (String, &str) {
    let rest = line.strip_prefix(r#"{"Timestamp":""#).expect("starts with its time");
    let (timestamp, rest) = rest.split_once('"').expect("ends");
    (rest.to_owned(), timestamp)
}

#[test]
fn every_line_is_written_again_as_it_was() {
    for path in shared_archives() {
        let file = read(&path);
        let text = String::from_utf8(zstd::decode_all(&*file).expect("whole")).expect("UTF-8");
        let records = records(&file);
        assert_eq!(text.lines().count(), records.len());
        for (original, record) in text.lines().zip(&records) {
            let mut line = Vec::new();
            if let Some(metadata) = &record.metadata {
                encode_header(&mut line, metadata).expect("into memory");
                assert_eq!(String::from_utf8_lossy(&line).trim_end(), original);
                continue;
            }
            let bytes = message_bytes(&record.raw_idm.expect("a record"), record.attributes.iter());
            let time = TimestampText::new(record.timestamp.with_timezone(&Utc));
            let message = Message::new(&bytes).expect("a socket");
            assert_eq!(encode_record(&mut line, &time, message, Origin::Destroy { is_final: false }, None), 0);
            let line = String::from_utf8(line).expect("ASCII");
            let ((ours, time), (theirs, _)) = (split_timestamp(line.trim_end()), split_timestamp(original));
            assert_eq!(ours, theirs, "{}", path.display());
            // The original wrote more digits, and local time; ours is the same moment to the millisecond.
            assert_eq!(time.parse(), Ok(record.timestamp.to_utc().trunc_subsecs(3)));
        }
    }
}
