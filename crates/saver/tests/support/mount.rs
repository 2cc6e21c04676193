//! Small file systems for as long as a test lasts.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

/// Unmounted when dropped, also by a panic.
pub(crate) struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}

/// A tmpfs of `size` bytes; `None`, with a word, for those who may not mount.
pub(crate) fn tmpfs(at: &Path, size: usize) -> Option<Mounted> {
    let options = CString::new(format!("size={size}")).expect("no NUL in it");
    mounted(at, mount("none", at, "tmpfs", MountFlags::empty(), options.as_c_str()))
}

/// The directory `from` again under another name.
pub(crate) fn bind(from: &Path, at: &Path) -> Option<Mounted> {
    mounted(at, mount_bind(from, at))
}

fn mounted(at: &Path, outcome: rustix::io::Result<()>) -> Option<Mounted> {
    match outcome {
        Ok(()) => Some(Mounted(at.to_owned())),
        Err(error) => {
            super::skipped(format_args!("cannot mount ({error}), which takes root"));
            None
        }
    }
}
