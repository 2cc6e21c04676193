//! The archives below a directory.

use std::fs;
use std::io::{self, BufRead};
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
    /// Paths that are still to be looked at, the next one last.
    paths: Vec<(PathBuf, bool)>,
}

impl Tree {
    /// Those below that one.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { paths: vec![(directory.into(), true)] }
    }

    fn list(&mut self, directory: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
        let path = |entry: fs::DirEntry| (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()));
        self.paths.extend(entries.into_iter().map(path));
        Ok(())
    }
}

impl Iterator for Tree {
    type Item = Result<PathBuf, (PathBuf, io::Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (path, is_directory) = self.paths.pop()?;
            if !is_directory {
                return Some(Ok(path));
            }
            if let Err(error) = self.list(&path) {
                return Some(Err((path, error)));
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
