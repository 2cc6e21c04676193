//! Where files are made, before they take their place in the spool directory.
//!
//! ext4 without a journal looks for a free inode from the start of the block group that the directory lies in, and
//! passes over inodes freed in the last minutes one by one. Where many files were deleted a moment ago, as by a site
//! that takes finished files away, making one costs up to 850 us of CPU instead of 5 (measured on Linux 6.18). So files
//! are made in directories that change every few thousand files, and at once where making them is slow. They lie below
//! one with the flag that asks ext4 to spread its directories over the disk; it does so by the hash of their names,
//! which therefore are never the same. Renaming a file out of there keeps its inode, and other file systems do not mind.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// Half of a block group's inodes, as ext4 is made by default.
const FILES_PER_DIRECTORY: u32 = 4096;
/// A directory is in a bad place if even the fastest of so many files took longer than this to make.
const TRIED: u32 = 16;
const SLOW: Duration = Duration::from_micros(50);

/// The directory in which files are made. Removed when dropped, as far as it is empty.
#[derive(Debug)]
pub(crate) struct Nursery {
    root: PathBuf,
    /// Random: no run has its directories where another had them.
    run: u64,
    current: Mutex<Current>,
    /// Files so far, for names that are never the same: one that could not be moved nor removed is in nobody's way.
    files: AtomicU64,
}

/// The directory that is in use.
#[derive(Debug, Clone, Copy)]
struct Current {
    number: u32,
    /// Files made there.
    made: u32,
    /// Of the last few.
    fastest: Duration,
    /// Files that a slow directory gets before the next one is tried. They are more each time that does not help: then
    /// it is the disk that is slow.
    patience: u32,
}

impl Nursery {
    /// A nursery at `root`. Nothing is made before the first file.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            run: RandomState::new().build_hasher().finish(),
            current: Mutex::new(Current::new(0, TRIED)),
            files: AtomicU64::new(0),
        }
    }

    /// Makes a file. Now and then a directory has to be made for it: `prepare` is called before.
    pub(crate) fn create(&self, name: &str, prepare: impl FnOnce() -> io::Result<()>) -> io::Result<(PathBuf, File)> {
        let number = self.number();
        let path = self.directory(number).join(format!("{name}.{}", self.files.fetch_add(1, Ordering::Relaxed)));
        let create = || OpenOptions::new().append(true).create_new(true).open(&path);
        let begin = Instant::now();
        let file = create();
        let took = begin.elapsed();
        let file = file.or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            prepare()?;
            self.make_directory(number)?;
            create()
        })?;
        self.made_in(number, took);
        Ok((path, file))
    }

    /// The name under which such a file was to be moved out.
    pub(crate) fn name_of(made: &Path) -> Option<&str> {
        made.file_name()?.to_str()?.rsplit_once('.').map(|(name, _number)| name)
    }

    fn number(&self) -> u32 {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).number
    }

    /// Counts a file, and goes to the next directory when it is time.
    fn made_in(&self, number: u32, took: Duration) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number != number || !current.count(took) {
            return;
        }
        drop(current);
        if let Some(before) = number.checked_sub(1) {
            // Files stay for the moment between two system calls: one directory back there are none, or they are few.
            let _ = fs::remove_dir(self.directory(before));
        }
    }

    fn make_directory(&self, number: u32) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        ask_to_spread(&self.root);
        fs::create_dir_all(self.directory(number))
    }

    /// Files that were being made when an earlier run was killed.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
        let directories = entries(&self.root).map(|entry| entry.path());
        directories.flat_map(|directory| entries(&directory).map(|entry| entry.path())).collect()
    }

    /// Removes the directories, as far as they are empty.
    pub(crate) fn clear(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&self.root);
    }

    fn directory(&self, number: u32) -> PathBuf {
        self.root.join(format!("{:016x}-{number}", self.run))
    }
}

impl Current {
    fn new(number: u32, patience: u32) -> Self {
        Self { number, made: 0, fastest: Duration::MAX, patience }
    }

    /// Counts a file. Says whether the next one goes to another directory.
    fn count(&mut self, took: Duration) -> bool {
        self.made += 1;
        self.fastest = self.fastest.min(took);
        if self.made.is_multiple_of(TRIED) {
            if self.fastest < SLOW {
                self.patience = TRIED;
            } else if self.made >= self.patience {
                *self = Self::new(self.number + 1, (self.patience * 2).min(FILES_PER_DIRECTORY));
                return true;
            }
            self.fastest = Duration::MAX;
        }
        if self.made < FILES_PER_DIRECTORY {
            return false;
        }
        *self = Self::new(self.number + 1, self.patience);
        true
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Sets `FS_TOPDIR_FL` where the file system knows it.
fn ask_to_spread(directory: &Path) {
    let Ok(directory) = File::open(directory) else { return };
    if let Ok(flags) = ioctl_getflags(&directory)
        && !flags.contains(IFlags::TOPDIR)
    {
        let _ = ioctl_setflags(&directory, flags | IFlags::TOPDIR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_change_and_leave_nothing_behind() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let nursery = Nursery::new(dir.path().join("new"));
        let mut made = 0;
        for number in 0..3 * FILES_PER_DIRECTORY {
            let prepare = || {
                made += 1;
                Ok(())
            };
            let (path, _) = nursery.create(&number.to_string(), prepare).expect("creates");
            fs::remove_file(path).expect("is there");
        }
        assert!(made >= 3, "{made}");
        assert!(fs::read_dir(dir.path().join("new")).expect("is there").count() <= 2, "those before are gone");
        drop(nursery);
        assert_eq!(fs::read_dir(dir.path()).expect("is there").count(), 0);
    }

    /// How many files directories get, one after the other, if making a file in them takes this long.
    fn files_in_directories(took: impl Fn(u32) -> Duration) -> Vec<u32> {
        let mut current = Current::new(0, TRIED);
        let directory = |_| {
            let number = current.number;
            (1..).find(|_| current.count(took(number))).expect("ends at some time")
        };
        (0..10).map(directory).collect()
    }

    #[test]
    fn a_directory_in_a_bad_place_is_left_and_a_slow_disk_put_up_with() {
        assert_eq!(files_in_directories(|_| SLOW / 2), [4096; 10]);
        let some_slow = files_in_directories(|number| if number % 2 == 0 { SLOW * 10 } else { SLOW / 2 });
        assert_eq!(some_slow, [16, 4096].repeat(5));
        assert_eq!(files_in_directories(|_| SLOW), [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096]);
    }
}
