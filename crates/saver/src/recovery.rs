//! Finishing what an earlier run left: `kill -9`, a crash or a power cut leave `.partial` files.

use std::fs::{self, OpenOptions};
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use inetdiag::{ArchivalRecord, ArchiveReader};
use zstd::zstd_safe;

use crate::counters::Counters;
use crate::naming::{file_name, parse_file_name};
use crate::spool::{DiskError, Spool, disk};

/// What recovery did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Files cut back to their last whole frame where needed, and finished.
    pub finished: u64,
    /// Files removed because no whole frame of them held a record.
    pub removed: u64,
    /// Bytes cut off.
    pub bytes_cut: u64,
    /// Files not looked at because the daemon was to end; they wait for the next start.
    pub left: usize,
    /// Files that could not be finished; they stay for the next start.
    pub errors: Vec<DiskError>,
}

/// Cuts each left-over file back to its last whole frame and gives it its place in the date tree, as long as `go_on`
/// says so: what is not done then is done at the next start.
pub fn recover(spool: &Spool, counters: &Counters, go_on: impl Fn() -> bool) -> Recovery {
    let mut recovery = Recovery { errors: spool.stuck(), ..Recovery::default() };
    for (done, leftover) in spool.leftovers().iter().enumerate() {
        if !go_on() {
            recovery.left = spool.leftovers().len() - done;
            break;
        }
        if let Err(error) = finish(spool, &leftover.name, &mut recovery) {
            recovery.errors.push(error);
        }
    }
    counters.files_recovered.inc_by(recovery.finished);
    for error in &recovery.errors {
        counters.errors.with_label_values(&[error.operation]).inc();
    }
    recovery
}

fn finish(spool: &Spool, name: &str, recovery: &mut Recovery) -> Result<(), DiskError> {
    let path = spool.partial_path(name);
    let bytes = fs::read(&path).map_err(disk("recover", &path))?;
    let whole = whole_frames(&bytes);
    let Some(day) = day_of(&bytes[..whole]) else {
        // Not one record: there is nothing to be kept.
        fs::remove_file(&path).map_err(disk("recover", &path))?;
        recovery.removed += 1;
        recovery.bytes_cut += bytes.len() as u64;
        return Ok(());
    };
    if whole < bytes.len() {
        cut(&path, whole as u64).map_err(disk("recover", &path))?;
        recovery.bytes_cut += (bytes.len() - whole) as u64;
    }
    let mut target = name.to_owned();
    while !spool.publish_leftover(name, &target, day)? {
        let Some((prefix, cookie, sequence)) = parse_file_name(&target) else {
            let cause = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(disk("recover", &path)(cause));
        };
        target = file_name(prefix, cookie, sequence + 1);
    }
    recovery.finished += 1;
    Ok(())
}

fn cut(path: &Path, len: u64) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(len)
}

/// Length of the leading frames that are whole: decodable, checksum included, and ending with a line.
fn whole_frames(bytes: &[u8]) -> usize {
    let mut end = 0;
    while end < bytes.len() {
        let rest = &bytes[end..];
        let Ok(len) = zstd_safe::find_frame_compressed_size(rest) else { break };
        match zstd::decode_all(&rest[..len]) {
            Ok(lines) if lines.ends_with(b"\n") => end += len,
            _ => break,
        }
    }
    end
}

/// The day a file belongs under: that of its first record, as when it was opened. `None` if it holds no record.
fn day_of(frames: &[u8]) -> Option<NaiveDate> {
    let is_record = |record: &ArchivalRecord| record.raw_idm.is_some();
    let first = ArchiveReader::new(std::io::BufReader::new(zstd::Decoder::new(frames).ok()?))
        .filter_map(Result::ok)
        .find(is_record)?;
    Some(DateTime::<Utc>::from(first.timestamp).date_naive())
}
