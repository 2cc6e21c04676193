//! Files in progress, and their way into the date tree.
//!
//! A file in progress is known by its inode, not by its name alone: a directory may vanish and come back, with another
//! file of that name in it, and that one is left alone.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::NaiveDate;
use rustix::io::Errno;

use super::error::{DiskError, disk};
use super::{PARTIAL_SUFFIX, Spool, rename_new};

/// A file in progress as it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partial {
    device: u64,
    inode: u64,
    /// Bytes of whole frames in it.
    pub(crate) len: u64,
}

impl Partial {
    fn new(meta: &Metadata, len: u64) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), len }
    }

    /// An error unless this is the file, and all that was written to it is there.
    fn check(&self, meta: &Metadata) -> io::Result<()> {
        let problem = if (self.device, self.inode) != (meta.dev(), meta.ino()) {
            "there is another file of that name"
        } else if meta.len() < self.len {
            "the file has become shorter"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::NotFound, problem))
    }
}

impl Spool {
    /// Whether the name is taken, by a finished file of that day or one in progress.
    pub(crate) fn is_taken(&self, name: &str, day: NaiveDate) -> bool {
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
        is_there(&self.finished_path(name, day)) || is_there(&self.partial_path(name))
    }

    /// Whether the file in progress is still there under its name.
    pub(crate) fn has(&self, name: &str, partial: &Partial) -> bool {
        fs::symlink_metadata(self.partial_path(name)).is_ok_and(|meta| partial.check(&meta).is_ok())
    }

    /// Makes a file with its first frame, and then moves it into the spool: what bears its name there has a whole frame.
    pub(crate) fn create(&self, name: &str, frame: &[u8]) -> Result<Partial, DiskError> {
        let path = self.partial_path(name);
        let write = |new: &mut File| new.write_all(frame).and_then(|()| new.metadata());
        let move_into = |made: &Path| rename_new(made, &path).map_err(io::Error::from);
        let made = self.make(name, write, move_into).map_err(disk("create", &path))?;
        Ok(Partial::new(&made, frame.len() as u64))
    }

    /// Makes a file of one frame and gives it its place in the date tree at once. Says whether it got it: `false` if the
    /// name is taken, there or by a file that an earlier run left in the spool.
    pub(crate) fn publish_whole(&self, name: &str, frame: &[u8], day: NaiveDate) -> Result<bool, DiskError> {
        if !self.leftovers.is_empty() && fs::symlink_metadata(self.partial_path(name)).is_ok() {
            return Ok(false);
        }
        let to = self.finished_path(name, day);
        let mut taken = false;
        let move_into = |made: &Path| {
            taken = !place(made, &to)?;
            if taken { Err(Errno::EXIST.into()) } else { Ok(()) }
        };
        let outcome = self.make(name, |new| new.write_all(frame), move_into);
        if taken { Ok(false) } else { outcome.map(|()| true).map_err(disk("finish", &to)) }
    }

    /// Writes `frame` behind what is in a file in progress.
    ///
    /// All or nothing: what an earlier, failed attempt left there is cut off first, and this one's after it.
    pub(crate) fn append(&self, name: &str, partial: &mut Partial, frame: &[u8]) -> Result<(), DiskError> {
        let path = self.partial_path(name);
        let fail = disk("append", &path);
        let mut file = OpenOptions::new().append(true).open(&path).map_err(&fail)?;
        let meta = file.metadata().map_err(&fail)?;
        partial.check(&meta).map_err(&fail)?;
        if meta.len() > partial.len {
            file.set_len(partial.len).map_err(&fail)?;
        }
        file.write_all(frame).map_err(|error| {
            // Best effort: the next attempt cuts it off as well, and so does recovery.
            let _ = file.set_len(partial.len);
            fail(error)
        })?;
        partial.len += frame.len() as u64;
        Ok(())
    }

    /// Replaces a file in progress by what `write` makes of it, all or nothing.
    pub(crate) fn rewrite(
        &self,
        name: &str,
        partial: &mut Partial,
        write: impl FnOnce(&File, &mut File) -> io::Result<u64>,
    ) -> Result<(), DiskError> {
        let path = self.partial_path(name);
        let fail = disk("compact", &path);
        let old = File::open(&path).map_err(&fail)?;
        partial.check(&old.metadata().map_err(&fail)?).map_err(&fail)?;
        let write = |new: &mut File| write(&old, new).and_then(|len| Ok(Partial::new(&new.metadata()?, len)));
        *partial = self.make(name, write, |made| fs::rename(made, &path)).map_err(&fail)?;
        Ok(())
    }

    /// Gives a file in progress its place in the date tree. Says whether it got it: `false` if the name is taken there.
    pub(crate) fn publish(
        &self,
        name: &str,
        partial: &Partial,
        target: &str,
        day: NaiveDate,
    ) -> Result<bool, DiskError> {
        let from = self.partial_path(name);
        let meta = fs::symlink_metadata(&from).map_err(disk("finish", &from))?;
        partial.check(&meta).map_err(disk("finish", &from))?;
        if meta.len() > partial.len {
            // What a failed attempt left.
            let cut = OpenOptions::new().write(true).open(&from).and_then(|file| file.set_len(partial.len));
            cut.map_err(disk("finish", &from))?;
        }
        self.give_place(&from, target, day)
    }

    /// The same for a file that another run left.
    pub(crate) fn publish_leftover(&self, name: &str, target: &str, day: NaiveDate) -> Result<bool, DiskError> {
        self.give_place(&self.partial_path(name), target, day)
    }

    fn give_place(&self, from: &Path, target: &str, day: NaiveDate) -> Result<bool, DiskError> {
        let to = self.finished_path(target, day);
        place(from, &to).map_err(disk("finish", &to))
    }

    /// Makes a file in the nursery, and moves it from there.
    fn make<T>(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<T>,
        move_into: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<T> {
        // Where a directory is missing it may be that all of the spool is gone, the lock with it.
        let (made, mut file) = self.nursery.create(&format!("{name}{PARTIAL_SUFFIX}"), || self.hold())?;
        write(&mut file).and_then(|written| move_into(&made).map(|()| written)).inspect_err(|_| {
            // Left there, a full disk would collect empty files.
            let _ = fs::remove_file(&made);
        })
    }
}

/// Renames into a directory of the date tree, which is made if it is missing. Says whether the name was free.
fn place(from: &Path, to: &Path) -> io::Result<bool> {
    let mut renamed = rename_new(from, to);
    if renamed == Err(Errno::NOENT) && from.exists() {
        to.parent().map_or(Ok(()), fs::create_dir_all)?;
        renamed = rename_new(from, to);
    }
    match renamed {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 2).expect("a date")
    }

    fn open(dir: &Path) -> Spool {
        Spool::open(dir, &dir.join(".spool")).expect("opens")
    }

    #[test]
    fn frames_are_appended_and_the_file_published_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = open(dir.path());
        let mut partial = spool.create("a", b"one").expect("creates");
        spool.append("a", &mut partial, b"two").expect("appends");
        assert!(spool.is_taken("a", day()) && spool.has("a", &partial));
        assert!(spool.publish("a", &partial, "a", day()).expect("renames"));
        assert_eq!(fs::read(dir.path().join("2026/01/02/a")).expect("reads"), b"onetwo");
        let other = spool.create("a", b"other").expect("creates");
        assert!(!spool.publish("a", &other, "a", day()).expect("is refused"));
        assert_eq!(fs::read(dir.path().join("2026/01/02/a")).expect("reads"), b"onetwo");
    }

    #[test]
    fn a_whole_file_takes_no_name_that_is_taken() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = open(dir.path());
        let uuid = "host_1_unsafe_0000000000000001.00000.jsonl.zst";
        assert!(spool.publish_whole(uuid, b"one", day()).expect("publishes"));
        assert!(!spool.publish_whole(uuid, b"two", day()).expect("is refused"));
        assert_eq!(fs::read(spool.finished_path(uuid, day())).expect("reads"), b"one");
        assert!(spool.nursery.leftovers().is_empty());
        fs::remove_file(spool.finished_path(uuid, day())).expect("removes");
        spool.create(uuid, b"one").expect("creates");
        drop(spool);
        let next = open(dir.path());
        assert!(!next.publish_whole(uuid, b"two", day()).expect("is refused"), "the leftover was first");
    }

    #[test]
    fn what_a_failed_attempt_left_is_cut_off() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = open(dir.path());
        let before = spool.create("a", b"one").expect("creates");
        spool.append("a", &mut before.clone(), b"torn").expect("appends");
        let mut partial = before;
        spool.append("a", &mut partial, b"two").expect("appends");
        assert_eq!(fs::read(spool.partial_path("a")).expect("reads"), b"onetwo");
        partial.len = 100;
        let error = spool.append("a", &mut partial, b"x").expect_err("too short");
        assert!(error.to_string().contains("shorter"), "{error}");
    }

    #[test]
    fn a_directory_that_vanished_is_made_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let output = dir.path().join("out");
        let spool = open(&output);
        fs::remove_dir_all(&output).expect("removes");
        let mut partial = spool.create("a", b"one").expect("creates");
        assert!(spool.publish("a", &partial, "a", day()).expect("renames"));
        let gone = spool.append("a", &mut partial, b"two").expect_err("is gone");
        assert_eq!(gone.source.kind(), io::ErrorKind::NotFound);
        let second = Spool::open(&output, &output.join(".spool"));
        assert!(matches!(second, Err(crate::OpenError::InUse { .. })), "it is locked again");
    }

    /// A mount that goes and comes back, say.
    #[test]
    fn another_file_of_the_same_name_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = open(dir.path());
        let mut first = spool.create("a", b"a longer frame").expect("creates");
        let [here, away] = [".spool", "away"].map(|name| dir.path().join(name));
        fs::rename(&here, &away).expect("renames");
        let mut second = spool.create("a", b"short").expect("creates");
        fs::remove_dir_all(&here).expect("removes");
        fs::rename(&away, &here).expect("renames");
        assert!(!spool.has("a", &second) && spool.has("a", &first));
        for outcome in [
            spool.append("a", &mut second, b"x"),
            spool.rewrite("a", &mut second, |_, _| Ok(0)),
            spool.publish("a", &second, "a", day()).map(drop),
        ] {
            let error = outcome.expect_err("is another file").to_string();
            assert!(error.contains("another file"), "{error}");
        }
        assert_eq!(fs::read(spool.partial_path("a")).expect("reads"), b"a longer frame");
        spool.append("a", &mut first, b"x").expect("appends");
    }
}
