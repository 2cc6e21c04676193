//! Where files are made, before they take their place in the spool directory.
//!
//! ext4 without a journal looks for a free inode from the start of the block group that the directory lies in, and
//! passes over inodes freed in the last minutes one by one. Where many files were deleted a moment ago, as by a site
//! that takes finished files away, making one costs some 850 us of CPU instead of 30 (measured on Linux 6.18). So files
//! are made in directories that change every few thousand files, below one with the flag that asks ext4 to spread its
//! directories over the disk; it does so by the hash of their names, which therefore are never the same. Renaming a
//! file out of there keeps its inode, and other file systems do not mind.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// Half of a block group's inodes, as ext4 is made by default.
const FILES_PER_DIRECTORY: u32 = 4096;

/// The directory in which files are made. Removed when dropped, as far as it is empty.
#[derive(Debug)]
pub(crate) struct Nursery {
    root: PathBuf,
    /// Random: no run has its directories where another had them.
    run: u64,
    made: AtomicU32,
}

impl Nursery {
    /// A nursery at `root`. Nothing is made before the first file.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, run: RandomState::new().build_hasher().finish(), made: AtomicU32::new(0) }
    }

    /// Where the next file is to be made. Its directory may be missing: [`make_directory`](Nursery::make_directory).
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let number = made / FILES_PER_DIRECTORY;
        if made.is_multiple_of(FILES_PER_DIRECTORY) && number >= 2 {
            // Files stay for the moment between two system calls, so two directories back there are none.
            let _ = fs::remove_dir(self.directory(number - 2));
        }
        self.directory(number).join(name)
    }

    /// Makes the directory of a file that has none yet.
    pub(crate) fn make_directory(&self, file: &Path) -> std::io::Result<()> {
        fs::create_dir_all(&self.root)?;
        ask_to_spread(&self.root);
        file.parent().map_or(Ok(()), fs::create_dir_all)
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
        let mut last = PathBuf::new();
        let mut directories = 0;
        for _ in 0..3 * FILES_PER_DIRECTORY {
            let place = nursery.place("x");
            if place != last {
                nursery.make_directory(&place).expect("makes");
                directories += 1;
                last = place;
            }
        }
        assert_eq!(directories, 3);
        assert_eq!(fs::read_dir(dir.path().join("new")).expect("is there").count(), 2, "the first is gone");
        drop(nursery);
        assert_eq!(fs::read_dir(dir.path()).expect("is there").count(), 0);
    }
}
