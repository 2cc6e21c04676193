//! What can go wrong on a disk.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

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

/// Adds operation and path to an I/O error.
pub(crate) fn disk(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> DiskError {
    move |source| DiskError { operation, path: path.into(), source }
}
