//! Names: of connections, of files, of the days they lie under.

use std::path::PathBuf;

use chrono::{Datelike, NaiveDate};

const SUFFIX: &str = ".jsonl.zst";
/// A file a second for thirty years.
const MAX_SEQUENCE: u32 = 999_999_999;

/// The UUID of a connection: what consumers know it by, and must not parse.
pub fn uuid(prefix: &str, cookie: u64) -> String {
    format!("{prefix}_{cookie:016X}")
}

/// Name of one file of a connection.
pub(crate) fn file_name(prefix: &str, cookie: u64, sequence: u32) -> String {
    format!("{prefix}_{cookie:016X}.{sequence:05}{SUFFIX}")
}

/// Takes a file name apart; `None` for a name that is not of an archive.
pub(crate) fn parse_file_name(name: &str) -> Option<(&str, u64, u32)> {
    let (uuid, sequence) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    let (prefix, cookie) = uuid.rsplit_once('_')?;
    let (cookie, sequence) = (u64::from_str_radix(cookie, 16).ok()?, sequence.parse().ok()?);
    // Only what this program writes: no signs, no lower case, no other padding, and no SEQ that leaves none behind it.
    (sequence <= MAX_SEQUENCE && file_name(prefix, cookie, sequence) == name).then_some((prefix, cookie, sequence))
}

/// Directory of a day, relative to the output directory.
pub(crate) fn day_directory(day: NaiveDate) -> PathBuf {
    PathBuf::from(format!("{:04}/{:02}/{:02}", day.year(), day.month(), day.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let name = file_name("host-1_1553815964_unsafe", 0x135A272, 3);
        assert_eq!(name, "host-1_1553815964_unsafe_000000000135A272.00003.jsonl.zst");
        assert_eq!(parse_file_name(&name), Some(("host-1_1553815964_unsafe", 0x135A272, 3)));
        assert_eq!(parse_file_name(&file_name("a.b", u64::MAX, 123_456)), Some(("a.b", u64::MAX, 123_456)));
        for other in [
            "",
            "x",
            "a_1.00000.jsonl.zst",
            "a_000000000135A272.x.jsonl.zst",
            "a_000000000135A272.00000.jsonl",
            "a_000000000135a272.00000.jsonl.zst",
            "a_+00000000135A272.00000.jsonl.zst",
            "a_000000000135A272.+0000.jsonl.zst",
            "a_000000000135A272.0.jsonl.zst",
            "a_000000000135A272.4294967295.jsonl.zst",
        ] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn days_are_directories() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 9).expect("a date");
        assert_eq!(day_directory(day), PathBuf::from("2026/03/09"));
    }
}
