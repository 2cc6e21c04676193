//! Finishing what an earlier run left: `kill -9`, a crash or a power cut leave `.partial` files.

mod frames;

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::counters::Counters;
use crate::naming::{file_name, parse_file_name};
use crate::spool::{DiskError, Spool, disk};
use frames::{FirstRecord, Frame, Frames, Stop};

const DAMAGED_SUFFIX: &str = ".damaged";
const MENDED_SUFFIX: &str = ".mended";

/// What recovery did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Files freed of what is no whole frame, where needed, and finished.
    pub finished: u64,
    /// Files removed because no whole frame of them held a record.
    pub removed: u64,
    /// Files set aside because their beginning is damaged, but not all that is behind it. Each is an error, too.
    pub damaged: u64,
    /// Bytes cut off or left out, those of removed files included.
    pub bytes_cut: u64,
    /// Files not finished because the daemon was to end; they wait for the next start, as they were.
    pub left: usize,
    /// Files that could not be finished; they stay in the spool.
    pub errors: Vec<DiskError>,
}

/// Frees each left-over file of what is no whole frame and gives it its place in the date tree, as long as `go_on` says
/// so, which is asked inside large files, too: what is not done then is done at the next start.
pub fn recover(spool: &Spool, counters: &Counters, go_on: impl Fn() -> bool) -> Recovery {
    let mut recovery = Recovery { errors: spool.stuck(), ..Recovery::default() };
    for (done, leftover) in spool.leftovers().iter().enumerate() {
        let had_time = if go_on() { finish(spool, &leftover.name, &go_on, &mut recovery) } else { Ok(false) };
        match had_time {
            Ok(true) => {}
            Ok(false) => {
                recovery.left = spool.leftovers().len() - done;
                break;
            }
            Err(error) => recovery.errors.push(error),
        }
    }
    counters.files_recovered.inc_by(recovery.finished);
    counters.files_damaged.inc_by(recovery.damaged);
    counters.cut_bytes.inc_by(recovery.bytes_cut);
    for error in &recovery.errors {
        counters.errors.with_label_values(&[error.operation]).inc();
    }
    recovery
}

/// Says whether there was time for it.
fn finish(spool: &Spool, name: &str, go_on: &dyn Fn() -> bool, recovery: &mut Recovery) -> Result<bool, DiskError> {
    let path = spool.partial_path(name);
    let day = match make_sound(&path, name, go_on, recovery) {
        Ok(Some(day)) => day,
        Ok(None) => return Ok(true),
        Err(Stop::NotNow) => return Ok(false),
        Err(Stop::Failed(error)) => return Err(disk("recover", &path)(error)),
    };
    let mut target = name.to_owned();
    while !spool.publish_leftover(name, &target, day)? {
        target = next_name(&target).map_err(disk("recover", &path))?;
    }
    recovery.finished += 1;
    Ok(true)
}

/// Leaves nothing but sound frames in a file. The day it belongs under is that of its first record, as when it was
/// opened; `None` if it is not to be published, for it held no record and is gone.
fn make_sound(
    path: &Path,
    name: &str,
    go_on: &dyn Fn() -> bool,
    recovery: &mut Recovery,
) -> Result<Option<NaiveDate>, Stop> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() {
        // To open a FIFO would be to wait for its writer.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file").into());
    }
    remove_mended(path)?;
    let found = survey(&mut Frames::open(path, go_on)?, |_, _| Ok(()))?;
    let Some(first) = found.first_record else {
        // Not one record: there is nothing to be kept.
        fs::remove_file(path)?;
        recovery.removed += 1;
        recovery.bytes_cut += meta.len();
        return Ok(None);
    };
    if !found.has_header {
        let error = set_aside(path, name, first.frame_start)?;
        recovery.damaged += 1;
        return Err(error.into());
    }
    if found.sound > found.whole {
        mend(path, go_on)?;
    } else if found.whole < meta.len() {
        OpenOptions::new().write(true).open(path)?.set_len(found.whole)?;
    }
    recovery.bytes_cut += meta.len().saturating_sub(found.sound);
    Ok(Some(first.day))
}

/// What there is in a file.
#[derive(Debug, Default)]
struct Survey {
    /// Whether it begins with a sound frame that begins with the header line.
    has_header: bool,
    /// Where the sound frames at its beginning end.
    whole: u64,
    /// Bytes in all sound frames.
    sound: u64,
    /// The first record in any of them.
    first_record: Option<FirstRecord>,
}

impl Survey {
    /// Whether a frame behind damage is of another file: a power cut may leave in one file what was in another.
    fn is_foreign(&self, frame: &Frame) -> bool {
        let cookie = |record: Option<FirstRecord>| record.map(|record| record.cookie);
        let (ours, its) = (cookie(self.first_record), cookie(frame.first_record));
        self.has_header && (frame.has_header || (ours.is_some() && its.is_some() && ours != its))
    }
}

/// Reads a file to its end and has each sound frame of it kept.
fn survey(
    frames: &mut Frames<'_>,
    mut keep: impl FnMut(&mut Frames<'_>, &Frame) -> Result<(), Stop>,
) -> Result<Survey, Stop> {
    let mut found = Survey::default();
    while let Some(frame) = frames.next()? {
        if frame.start == found.whole {
            found.has_header |= frame.start == 0 && frame.has_header;
            found.whole = frame.end;
        } else if found.is_foreign(&frame) {
            continue;
        }
        found.sound += frame.len();
        found.first_record = found.first_record.or(frame.first_record);
        keep(frames, &frame)?;
    }
    Ok(found)
}

/// Puts the sound frames of a file in its place.
fn mend(path: &Path, go_on: &dyn Fn() -> bool) -> Result<(), Stop> {
    let mended = with_suffix(path, MENDED_SUFFIX);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&mended)?;
        survey(&mut Frames::open(path, go_on)?, |frames, frame| frames.copy(frame, &mut file))?;
        Ok(fs::rename(&mended, path)?)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&mended);
    })
}

/// Removes what an earlier run that was killed had mended so far.
fn remove_mended(path: &Path) -> io::Result<()> {
    match fs::remove_file(with_suffix(path, MENDED_SUFFIX)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives a file that has no beginning a name under which no later start looks at it. The error to be reported.
fn set_aside(path: &Path, name: &str, readable_from: u64) -> io::Result<io::Error> {
    let mut target = name.to_owned();
    let damaged = loop {
        // The spool is held by this process: nobody takes the name between the look and the rename.
        let damaged = path.with_file_name(format!("{target}{DAMAGED_SUFFIX}"));
        if fs::symlink_metadata(&damaged).is_err() {
            break damaged;
        }
        target = next_name(&target)?;
    };
    fs::rename(path, &damaged)?;
    let (damaged, from) = (damaged.display(), readable_from + 1);
    Ok(io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "its header line is damaged; it is kept as {damaged}, and what is sound behind that can be read \
             with `tail -c +{from} {damaged} | csvtool`; remove it when it is not needed any more"
        ),
    ))
}

/// The name to be tried when this one is taken: that of the next SEQ.
fn next_name(name: &str) -> io::Result<String> {
    let (prefix, cookie, sequence) = parse_file_name(name).ok_or(io::ErrorKind::AlreadyExists)?;
    Ok(file_name(prefix, cookie, sequence + 1))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
