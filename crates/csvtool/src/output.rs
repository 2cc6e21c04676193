//! Where tables go: standard output, or a file or directory that is there when it is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::convert::Name;

/// Takes what is made of archives, in their order.
pub trait Sink<M> {
    /// An archive follows.
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes the next piece.
    fn take(&mut self, made: M) -> io::Result<()>;

    /// The archive of that name has ended.
    fn end(&mut self, _archive: &Name) -> io::Result<()> {
        Ok(())
    }

    /// There is no more.
    fn finish(&mut self) -> io::Result<()>;
}

/// Text as it comes, behind a header.
#[derive(Debug)]
pub struct TextTable<W> {
    header: Vec<u8>,
    out: W,
}

impl<W: Write> TextTable<W> {
    /// Writes to `out`, once there is an archive.
    pub fn new(out: W, header: Vec<u8>) -> Self {
        Self { header, out }
    }
}

impl<W: Write> Sink<Vec<u8>> for TextTable<W> {
    fn begin(&mut self) -> io::Result<()> {
        self.out.write_all(&std::mem::take(&mut self.header))
    }

    fn take(&mut self, rows: Vec<u8>) -> io::Result<()> {
        self.out.write_all(&rows)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A path under a temporary name beside its own, which it gets when it is [kept](Self::keep). Dropped before, it is
/// removed.
#[derive(Debug)]
pub struct Temporary {
    temporary: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl Temporary {
    fn new(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("names no file"))?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.partial", std::process::id()));
        Ok(Self { temporary: path.with_file_name(temporary), path: path.to_owned(), is_kept: false })
    }

    /// A file, to be written. One of its name that is there already stays as it is until then.
    pub fn file(path: &Path) -> io::Result<(Self, File)> {
        let this = Self::new(path)?;
        let file = File::create(&this.temporary)?;
        Ok((this, file))
    }

    /// A directory, to be filled. One of its name must be empty.
    pub fn directory(path: &Path) -> io::Result<Self> {
        if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "there is something in it; name a new directory"));
        }
        let this = Self::new(path)?;
        fs::create_dir(&this.temporary)?;
        Ok(this)
    }

    /// Where it is until then.
    pub fn place(&self) -> &Path {
        &self.temporary
    }

    /// Gives it its name.
    pub fn keep(mut self) -> io::Result<()> {
        if self.temporary.is_file() {
            File::open(&self.temporary)?.sync_all()?;
        }
        fs::rename(&self.temporary, &self.path)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = if self.temporary.is_dir() {
                fs::remove_dir_all(&self.temporary)
            } else {
                fs::remove_file(&self.temporary)
            };
        }
    }
}
