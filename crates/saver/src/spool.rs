//! The spool directory: files in progress, and their way into the date tree.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use thiserror::Error;

use crate::naming::{day_directory, parse_file_name};
use crate::nursery::Nursery;

const PARTIAL_SUFFIX: &str = ".partial";
const LOCK_NAME: &str = "lock";
const NURSERY_NAME: &str = "new";

/// A disk operation that failed. Counted and tried again; never fatal while recording.
#[derive(Debug, Error)]
#[error("cannot {operation} {path}: {source}")]
pub struct DiskError {
    /// What was tried; the label of the error counter.
    pub operation: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl DiskError {
    /// Whether it is room or descriptors that are missing: nothing is wrong with the file, and time may help.
    pub(crate) fn lacks_room(&self) -> bool {
        use io::ErrorKind::{OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | OutOfMemory)
            || matches!(Errno::from_io_error(&self.source), Some(Errno::MFILE | Errno::NFILE))
    }
}

/// The output directory cannot be used. Fatal at start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A directory could not be created or read, or the lock not be made.
    #[error("{0}; check that the directory exists and that this user may write to it")]
    Disk(#[from] DiskError),
    /// Another recorder runs with this spool directory.
    #[error(
        "another recorder is using the spool directory {spool}; stop it, or give this one another --output or --spool"
    )]
    InUse {
        /// The directory.
        spool: PathBuf,
    },
    /// A finished file could not be renamed from the one into the other.
    #[error(
        "the spool directory {spool} is not on the file system and mount of {output}; finished files are renamed, so name a --spool on the same one"
    )]
    OtherFileSystem {
        /// The spool directory.
        spool: PathBuf,
        /// The output directory.
        output: PathBuf,
    },
}

/// The directories of one archive, held by this process alone.
#[derive(Debug)]
pub struct Spool {
    output: PathBuf,
    spool: PathBuf,
    nursery: Nursery,
    leftovers: Vec<Leftover>,
    /// Files left in the nursery that could not be moved out of it.
    stuck: Vec<(PathBuf, Errno)>,
    /// Held for its lock, which the kernel drops with the process, however it ends.
    _lock: File,
}

/// A file that an earlier run did not finish.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// The name it is to have.
    pub(crate) name: String,
}

impl Spool {
    /// Creates the directories where needed, takes them for this process, and lists what an earlier run left.
    /// Files in the spool directory that do not bear the name of an archive are nobody's business here: they stay.
    pub fn open(output: &Path, spool: &Path) -> Result<Self, OpenError> {
        for directory in [output, spool] {
            fs::create_dir_all(directory).map_err(disk("create", directory))?;
        }
        let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).map_err(disk("read", path));
        if device(output)? != device(spool)? || are_mounts_apart(spool, output) {
            return Err(OpenError::OtherFileSystem { spool: spool.into(), output: output.into() });
        }
        let lock_path = spool.join(LOCK_NAME);
        OpenOptions::new().create(true).append(true).open(&lock_path).map_err(disk("create", &lock_path))?;
        // Held for reading only, so that the file system can be made read-only meanwhile.
        let lock = File::open(&lock_path).map_err(disk("read", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse { spool: spool.into() }),
            Err(fs::TryLockError::Error(source)) => return Err(disk("lock", &lock_path)(source).into()),
        }
        let nursery = Nursery::new(spool.join(NURSERY_NAME));
        let mut stuck = Vec::new();
        for made in nursery.leftovers() {
            if let Some(name) = made.file_name()
                && let Err(error) = rename_new(&made, &spool.join(name))
            {
                stuck.push((made, error));
            }
        }
        nursery.clear();
        let mut leftovers = Vec::new();
        for entry in fs::read_dir(spool).map_err(disk("read", spool))? {
            let entry = entry.map_err(disk("read", spool))?;
            if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(PARTIAL_SUFFIX))
                && parse_file_name(name).is_some()
            {
                leftovers.push(Leftover { name: name.to_owned() });
            }
        }
        // Several files of one connection keep their order, whatever SEQ they get.
        leftovers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { output: output.into(), spool: spool.into(), nursery, leftovers, stuck, _lock: lock })
    }

    /// Files that an earlier run did not finish, as they were when the spool was opened.
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// What could not be taken over from the earlier run, as errors.
    pub(crate) fn stuck(&self) -> Vec<DiskError> {
        self.stuck.iter().map(|(path, error)| disk("recover", path)((*error).into())).collect()
    }

    /// The output directory.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Path of a note that one run leaves to the next.
    pub fn note_path(&self, name: &str) -> PathBuf {
        self.spool.join(name)
    }

    /// Path of a file in progress.
    pub(crate) fn partial_path(&self, name: &str) -> PathBuf {
        self.spool.join(format!("{name}{PARTIAL_SUFFIX}"))
    }

    /// Path of a finished file.
    pub(crate) fn finished_path(&self, name: &str, day: NaiveDate) -> PathBuf {
        self.output.join(day_directory(day)).join(name)
    }

    /// Whether the name is taken, by a finished file of that day or one in progress.
    pub(crate) fn is_taken(&self, name: &str, day: NaiveDate) -> bool {
        self.finished_path(name, day).exists() || self.partial_path(name).exists()
    }

    /// Writes `frame` behind the first `len` bytes of a file in progress; `len` 0 creates it.
    ///
    /// All or nothing: what an earlier, failed attempt left behind `len` is cut off first, and this one's after it.
    pub(crate) fn append(&self, name: &str, len: u64, frame: &[u8]) -> Result<(), DiskError> {
        if len == 0 {
            return self.create(name, frame);
        }
        let path = self.partial_path(name);
        let fail = disk("append", &path);
        let mut file = OpenOptions::new().append(true).open(&path).map_err(&fail)?;
        let there = file.metadata().map_err(&fail)?.len();
        if there > len {
            file.set_len(len).map_err(&fail)?;
        } else if there < len {
            let cause = io::Error::new(io::ErrorKind::NotFound, "the file has become shorter");
            return Err(fail(cause));
        }
        file.write_all(frame).map_err(|error| {
            // Best effort: the next attempt cuts it off as well, and so does recovery.
            let _ = file.set_len(len);
            fail(error)
        })
    }

    /// Makes a file with its first frame in the nursery, and moves it into the spool: what is there has a whole frame.
    fn create(&self, name: &str, frame: &[u8]) -> Result<(), DiskError> {
        let path = self.partial_path(name);
        let fail = disk("create", &path);
        let made = self.nursery.place(&format!("{name}{PARTIAL_SUFFIX}"));
        let create = || OpenOptions::new().append(true).create_new(true).open(&made);
        let created = create().or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            self.nursery.make_directory(&made)?;
            create()
        });
        let moved =
            created.map_err(&fail)?.write_all(frame).and_then(|()| rename_new(&made, &path).map_err(io::Error::from));
        moved.map_err(|error| {
            // Left there, a full disk would collect empty files.
            let _ = fs::remove_file(&made);
            fail(error)
        })
    }

    /// Gives a file in progress its place in the date tree. Says whether it got it: `false` if the name is taken there.
    pub(crate) fn publish(&self, partial: &str, name: &str, day: NaiveDate) -> Result<bool, DiskError> {
        let from = self.partial_path(partial);
        let to = self.finished_path(name, day);
        let mut renamed = rename_new(&from, &to);
        if renamed == Err(Errno::NOENT)
            && from.exists()
            && let Some(directory) = to.parent()
        {
            fs::create_dir_all(directory).map_err(disk("finish", directory))?;
            renamed = rename_new(&from, &to);
        }
        match renamed {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(disk("finish", &to)(error.into())),
        }
    }
}

/// Whether no file can be renamed from the one directory into the other although both are on one device: two bind
/// mounts of a container, say. The kernel looks at the mounts before it looks for the file, so none is needed to ask.
fn are_mounts_apart(from: &Path, to: &Path) -> bool {
    const NO_SUCH_FILE: &str = ".no-such-file";
    rename_new(&from.join(NO_SUCH_FILE), &to.join(NO_SUCH_FILE)) == Err(Errno::XDEV)
}

/// Renames unless the target exists.
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems (NFS, FUSE, older overlay) lack the flag; a hard link has the same guarantee.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::link(from, to)?;
            rustix::fs::unlink(from)
        }
        outcome => outcome,
    }
}

/// Adds operation and path to an I/O error.
pub(crate) fn disk(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> DiskError {
    move |source| DiskError { operation, path: path.into(), source }
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
        spool.append("a", 0, b"one").expect("creates");
        spool.append("a", 3, b"two").expect("appends");
        assert!(spool.is_taken("a", day()));
        assert!(spool.publish("a", "a", day()).expect("renames"));
        assert_eq!(fs::read(dir.path().join("2026/01/02/a")).expect("reads"), b"onetwo");
        spool.append("a", 0, b"other").expect("creates");
        assert!(!spool.publish("a", "a", day()).expect("is refused"));
        assert_eq!(fs::read(dir.path().join("2026/01/02/a")).expect("reads"), b"onetwo");
    }

    #[test]
    fn what_a_failed_attempt_left_is_cut_off() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = open(dir.path());
        spool.append("a", 0, b"one").expect("creates");
        spool.append("a", 3, b"torn").expect("appends");
        spool.append("a", 3, b"two").expect("appends");
        assert_eq!(fs::read(spool.partial_path("a")).expect("reads"), b"onetwo");
        let error = spool.append("a", 100, b"x").expect_err("too short");
        assert!(error.to_string().contains("shorter"), "{error}");
    }

    #[test]
    fn a_directory_that_vanished_is_made_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let output = dir.path().join("out");
        let spool = open(&output);
        fs::remove_dir_all(&output).expect("removes");
        spool.append("a", 0, b"one").expect("creates");
        assert!(spool.publish("a", "a", day()).expect("renames"));
        let gone = spool.append("a", 3, b"two").expect_err("is gone");
        assert_eq!(gone.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_spool_has_one_owner() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = open(dir.path());
        let second = Spool::open(dir.path(), &dir.path().join(".spool"));
        assert!(matches!(second, Err(OpenError::InUse { .. })));
        drop(first);
        open(dir.path());
    }
}
