//! The archives below a directory.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reader::{ArchiveReader, open};

/// Names of archives end so.
const ENDS: [&str; 2] = [".jsonl.zst", ".jsonl"];

/// Whether that is the name of an archive.
pub fn is_archive_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    ENDS.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// The files below a directory, by name, which for the tree of a recorder is by date. Directories are read as they are
/// come to; one that cannot be read is an error with its path, and the others follow.
///
/// Names that begin with a dot are passed over, for a recorder keeps there what is not finished; so are links to directories.
#[derive(Debug)]
pub struct Tree {
    /// A directory that is still to be read: the first one.
    root: Option<PathBuf>,
    /// Directories that are read, each within the one before it.
    open: Vec<Listing>,
}

/// What is in a directory: names of a busy day are a million, so they are kept in one piece.
#[derive(Debug)]
struct Listing {
    directory: PathBuf,
    names: Vec<u8>,
    /// The next one last.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    len: u16,
    is_directory: bool,
}

impl Listing {
    fn read(directory: &Path) -> io::Result<Self> {
        let (mut names, mut entries) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b".") {
                continue;
            }
            let too_many = |_| io::Error::other("the names in it have more than 4 GiB");
            let start = u32::try_from(names.len()).map_err(too_many)?;
            let len = u16::try_from(name.len()).map_err(too_many)?;
            names.extend_from_slice(name);
            entries.push(Entry { start, len, is_directory: entry.file_type().is_ok_and(|kind| kind.is_dir()) });
        }
        entries.sort_unstable_by(|one, other| name(&names, *other).cmp(name(&names, *one)));
        Ok(Self { directory: directory.to_owned(), names, entries })
    }

    fn next(&mut self) -> Option<(PathBuf, bool)> {
        let entry = self.entries.pop()?;
        Some((self.directory.join(OsStr::from_bytes(name(&self.names, entry))), entry.is_directory))
    }
}

fn name(names: &[u8], entry: Entry) -> &[u8] {
    &names[entry.start as usize..][..usize::from(entry.len)]
}

impl Tree {
    /// Those below that one.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { root: Some(directory.into()), open: Vec::new() }
    }

    fn enter(&mut self, directory: PathBuf) -> Result<(), (PathBuf, io::Error)> {
        self.open.push(Listing::read(&directory).map_err(|error| (directory, error))?);
        Ok(())
    }
}

impl Iterator for Tree {
    type Item = Result<PathBuf, (PathBuf, io::Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take()
            && let Err(error) = self.enter(root)
        {
            return Some(Err(error));
        }
        loop {
            match self.open.last_mut()?.next() {
                Some((path, false)) => return Some(Ok(path)),
                Some((directory, true)) => {
                    if let Err(error) = self.enter(directory) {
                        return Some(Err(error));
                    }
                }
                None => {
                    self.open.pop();
                }
            }
        }
    }
}

/// Opens each archive below a directory, by name, with its path.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/archives");
/// let mut records = 0;
/// for (path, archive) in inetdiag::open_all(directory) {
///     for record in archive? {
///         match record {
///             Ok(_) => records += 1,
///             Err(error) => eprintln!("{}: {error}", path.display()),
///         }
///     }
/// }
/// assert!(records > 0);
/// # Ok(())
/// # }
/// ```
pub fn open_all(
    directory: impl Into<PathBuf>,
) -> impl Iterator<Item = (PathBuf, io::Result<ArchiveReader<Box<dyn BufRead + Send>>>)> {
    Tree::new(directory).filter_map(|found| match found {
        Ok(path) if is_archive_name(&path) => {
            let archive = open(&path);
            Some((path, archive))
        }
        Ok(_) => None,
        Err((path, error)) => Some((path, Err(error))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_name_and_what_begins_with_a_dot_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        for path in [
            "2026/01/03/a.jsonl",
            "2026/01/02/b.jsonl.zst",
            "2026/01/02/a.00001.jsonl.zst",
            ".spool/x.jsonl",
            "2026/note",
        ] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("is made");
            fs::write(path, "").expect("writes");
        }
        let found: Vec<_> = open_all(directory.path()).map(|(path, archive)| (path, archive.is_ok())).collect();
        let expected = ["2026/01/02/a.00001.jsonl.zst", "2026/01/02/b.jsonl.zst", "2026/01/03/a.jsonl"];
        assert_eq!(found, expected.map(|path| (directory.path().join(path), true)));
        let mut missing = open_all("/no/such/directory");
        assert!(missing.next().is_some_and(|(_, archive)| archive.is_err()) && missing.next().is_none());
    }
}
