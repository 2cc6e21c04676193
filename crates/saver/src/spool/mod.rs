//! The spool directory: whose it is, and what an earlier run left in it.

mod error;
mod partial;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use thiserror::Error;

use crate::naming::{day_directory, parse_file_name};
use crate::nursery::Nursery;

pub use error::DiskError;
pub(crate) use error::disk;
pub(crate) use partial::Partial;

const PARTIAL_SUFFIX: &str = ".partial";
const LOCK_NAME: &str = "lock";
const NURSERY_NAME: &str = "new";

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
    lock: Mutex<File>,
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
        let lock = lock(spool)?;
        let nursery = Nursery::new(spool.join(NURSERY_NAME));
        let mut stuck = Vec::new();
        for made in nursery.leftovers() {
            let Some(name) = Nursery::name_of(&made) else { continue };
            match rename_new(&made, &spool.join(name)) {
                Ok(()) => {}
                // It was being written anew: what it was made of is still there, whole.
                Err(Errno::EXIST) => drop(fs::remove_file(&made)),
                Err(error) => stuck.push((made, error)),
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
        Ok(Self { output: output.into(), spool: spool.into(), nursery, leftovers, stuck, lock: Mutex::new(lock) })
    }

    /// Takes the lock again if somebody removed it. An error if another recorder was faster.
    pub(crate) fn hold_lock(&self) -> Result<(), DiskError> {
        self.hold().map_err(disk("lock", &self.spool.join(LOCK_NAME)))
    }

    fn hold(&self) -> io::Result<()> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (there, ours) = (fs::metadata(self.spool.join(LOCK_NAME)), held.metadata()?);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(());
        }
        fs::create_dir_all(&self.spool)?;
        *held = lock(&self.spool).map_err(io::Error::other)?;
        Ok(())
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
}

/// Takes the spool directory for this process.
fn lock(spool: &Path) -> Result<File, OpenError> {
    let path = spool.join(LOCK_NAME);
    OpenOptions::new().create(true).append(true).open(&path).map_err(disk("create", &path))?;
    // Held for reading only, so that the file system can be made read-only meanwhile.
    let lock = File::open(&path).map_err(disk("read", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { spool: spool.into() }),
        Err(fs::TryLockError::Error(source)) => Err(disk("lock", &path)(source).into()),
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
    let mut renamed = renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE);
    if let Err(Errno::INVAL | Errno::NOSYS) = renamed {
        // Some file systems (NFS, FUSE, older overlay) lack the flag; a hard link has the same guarantee.
        renamed = rustix::fs::link(from, to).and_then(|()| rustix::fs::unlink(from));
    }
    match renamed {
        // Linked, and then interrupted: both names are of one file.
        Err(Errno::EXIST) if are_one_file(from, to) => rustix::fs::unlink(from),
        outcome => outcome,
    }
}

fn are_one_file(a: &Path, b: &Path) -> bool {
    let id = |path| fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_that_was_interrupted_is_completed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [from, to, other] = ["from", "to", "other"].map(|name| dir.path().join(name));
        fs::write(&from, "x").expect("writes");
        fs::write(&other, "x").expect("writes");
        fs::hard_link(&from, &to).expect("links");
        assert_eq!(rename_new(&other, &to), Err(Errno::EXIST));
        assert_eq!(rename_new(&from, &to), Ok(()));
        assert!(!from.exists() && other.exists() && to.exists());
    }

    #[test]
    fn a_spool_has_one_owner() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = || Spool::open(dir.path(), &dir.path().join(".spool"));
        let first = open().expect("opens");
        assert!(matches!(open(), Err(OpenError::InUse { .. })));
        drop(first);
        open().expect("is free again");
    }
}
