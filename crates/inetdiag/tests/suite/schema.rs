//! The line format, declared a second time and strictly: a key that is not here is a change of the contract.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use inetdiag::{InetDiagMsg, MAX_LINE_LEN};
use serde::Deserialize;

use crate::support::{read, shared_archives};
use crate::transfer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "Timestamp")]
    timestamp: chrono::DateTime<chrono::Utc>,
    #[serde(rename = "RawIDM")]
    raw_idm: Option<String>,
    #[serde(rename = "Attributes")]
    attributes: Option<Vec<Option<String>>>,
    #[serde(rename = "Poll")]
    poll: Option<u64>,
    #[serde(rename = "Final")]
    is_final: Option<bool>,
    #[serde(rename = "Metadata")]
    metadata: Option<Metadata>,
    #[serde(rename = "Streams")]
    streams: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(rename = "UUID")]
    uuid: String,
    #[serde(rename = "Sequence")]
    sequence: u32,
    #[serde(rename = "StartTime")]
    start_time: chrono::DateTime<chrono::Utc>,
    #[serde(rename = "KernelRelease")]
    kernel_release: Option<String>,
    #[serde(rename = "BootID")]
    boot_id: Option<String>,
    #[serde(rename = "Interval")]
    interval: Option<String>,
    #[serde(rename = "AchievedInterval")]
    achieved_interval: Option<String>,
    #[serde(rename = "AskedAttributes")]
    asked_attributes: Option<String>,
    #[serde(rename = "Estats")]
    estats: Option<std::collections::BTreeMap<String, String>>,
    #[serde(rename = "Version")]
    version: Option<String>,
}

/// Checks every line, and returns them.
fn check(file: &[u8]) -> Vec<Line> {
    let text = String::from_utf8(zstd::decode_all(file).expect("whole")).expect("UTF-8");
    assert!(text.ends_with('\n'));
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(text.len() < MAX_LINE_LEN);
        assert_eq!(line.metadata.is_some(), number == 0, "the header is the first line and no other");
        assert_eq!(line.raw_idm.is_some(), number > 0);
        assert_eq!(line.attributes.is_some(), number > 0);
        assert!(line.streams.is_none(), "nobody captured packets");
        if let Some(raw_idm) = &line.raw_idm {
            assert_eq!(STANDARD.decode(raw_idm).expect("padded base64").len(), InetDiagMsg::SIZE);
        }
        if let Some(attributes) = &line.attributes {
            assert_eq!(attributes.first(), Some(&None), "no attribute has number 0");
            assert!(
                attributes.len() == 1 || attributes.last() != Some(&None),
                "the array ends with the last attribute"
            );
            assert!(attributes.iter().flatten().all(|value| STANDARD.decode(value).is_ok()));
        }
        if let Some(metadata) = &line.metadata {
            assert_eq!(line.timestamp.to_rfc3339(), "0001-01-01T00:00:00+00:00");
            assert!(metadata.uuid.contains('_') && metadata.start_time > line.timestamp);
        }
        lines.push(line);
    }
    lines
}

#[test]
fn what_we_write_has_these_keys_and_no_others() {
    let lines = check(&read(transfer::archive()));
    let finals = lines.iter().map(|line| line.is_final);
    assert!(finals.rev().eq(std::iter::once(Some(true)).chain(std::iter::repeat_n(None, lines.len() - 1))));
    let metadata = lines[0].metadata.as_ref().expect("a header");
    assert_eq!(metadata.sequence, 0);
    assert!(metadata.kernel_release.is_some() && metadata.boot_id.is_some());
    assert!(metadata.interval.is_some() && metadata.achieved_interval.is_some() && metadata.version.is_some());
    assert_eq!(metadata.asked_attributes.as_deref(), Some("full"));
    assert_eq!(metadata.estats, None, "it was not asked for");
    assert!(lines[1..].iter().all(|line| line.poll.is_some() != (line.is_final == Some(true))));
}

#[test]
fn what_the_go_original_wrote_has_no_others_either() {
    for path in shared_archives() {
        let lines = check(&read(&path));
        let metadata = lines[0].metadata.as_ref().expect("a header");
        assert!(metadata.kernel_release.is_none() && metadata.version.is_none(), "the original knows no such keys");
    }
}
