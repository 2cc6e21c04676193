//! What is read: files, directories, patterns, tar files, standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use inetdiag::{ArchiveReader, Tree, is_archive_name};

use crate::convert::Name;
use crate::progress::Progress;
use crate::report::InputError;

const TARS: [&str; 3] = [".tar", ".tgz", ".tar.gz"];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Files in a group at most.
pub const GROUP_FILES: usize = 64;
/// A group of so many bytes is handed on, compressed as they are.
const GROUP_BYTES: u64 = 128 << 10;

/// Where a tar file of our time says that it is one, and how.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// One that is a tar file of archives by its name.
    Tar(PathBuf),
}

/// Why there is nothing to read, and where.
pub type NotFound = (String, InputError);

impl Input {
    fn of(path: PathBuf) -> Self {
        if is_tar(&path) { Self::Tar(path) } else { Self::File(path) }
    }

    /// As it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) | Self::Tar(path) => path.display().to_string(),
        }
    }

    /// Opens each archive that it is, or that is in it as a tar file; compressed by gzip or not. Hands it on with its name.
    /// What cannot be opened goes to `fail`. The error is one of `visit`.
    pub fn open<E>(
        &self,
        progress: &Progress,
        mut fail: impl FnMut(&str, InputError),
        mut visit: impl FnMut(&Name, ArchiveReader<Box<dyn BufRead + '_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = self.name();
        let opened = match self {
            Self::Stdin => Unpacked::new(io::stdin()),
            Self::File(path) | Self::Tar(path) => {
                File::open(path).and_then(|file| Unpacked::new(progress.counting(file)))
            }
        };
        let archive = match opened {
            Ok(Unpacked { bytes, is_tar }) if is_tar || matches!(self, Self::Tar(_)) => {
                return open_tar(&name, bytes, fail, visit);
            }
            Ok(Unpacked { bytes, .. }) => ArchiveReader::sniff_local(bytes),
            Err(error) => Err(error),
        };
        match archive {
            Ok(archive) => visit(&Name::file(name), archive),
            Err(error) => {
                fail(&name, InputError::Open(error));
                Ok(())
            }
        }
    }
}

fn open_tar<'a, E>(
    whole: &str,
    tar: Box<dyn Read + 'a>,
    mut fail: impl FnMut(&str, InputError),
    mut visit: impl FnMut(&Name, ArchiveReader<Box<dyn BufRead + '_>>) -> Result<(), E>,
) -> Result<(), E> {
    let mut tar = tar::Archive::new(tar);
    let mut members = 0;
    let entries = tar.entries().into_iter().flatten();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                fail(whole, InputError::Tar(error));
                return Ok(());
            }
        };
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !is_member(&entry, &member) {
            continue;
        }
        members += 1;
        let name = Name { tar: Some(whole.to_owned()), path: member };
        match ArchiveReader::sniff_local(entry) {
            Ok(archive) => visit(&name, archive)?,
            Err(error) => fail(&name.to_string(), InputError::Open(error)),
        }
    }
    // Behind the last member is the checksum of what was compressed.
    match io::copy(&mut tar.into_inner(), &mut io::sink()) {
        Err(error) => fail(whole, InputError::Tar(error)),
        Ok(_) if members == 0 => fail(whole, InputError::NoArchives),
        Ok(_) => {}
    }
    Ok(())
}

/// Hands on the names of archives in a tar file, as far as it can be read.
pub fn members(path: &Path, visit: &mut dyn FnMut(&Path)) {
    let progress = Progress::hidden();
    let Ok(unpacked) = File::open(path).and_then(|file| Unpacked::new(progress.counting(file))) else { return };
    let mut tar = tar::Archive::new(unpacked.bytes);
    let entries = tar.entries().into_iter().flatten();
    for entry in entries.map_while(Result::ok) {
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if is_member(&entry, &member) {
            visit(Path::new(&member));
        }
    }
}

fn is_member(entry: &tar::Entry<'_, impl Read>, name: &str) -> bool {
    entry.header().entry_type().is_file() && is_archive_name(Path::new(name))
}

/// Whether that is the name of a tar file.
pub fn is_tar(path: &Path) -> bool {
    ends_in(path, &TARS)
}

/// What was compressed by gzip, or not, and what its first bytes say.
struct Unpacked<'a> {
    bytes: Box<dyn Read + 'a>,
    is_tar: bool,
}

impl<'a> Unpacked<'a> {
    fn new(source: impl Read + 'a) -> io::Result<Self> {
        let (start, source) = peek(source)?;
        if !start.starts_with(&GZIP_MAGIC) {
            return Ok(Self { bytes: Box::new(source), is_tar: is_tar_by(&start) });
        }
        let (start, bytes) = peek(MultiGzDecoder::new(BufReader::new(source)))?;
        Ok(Self { bytes: Box::new(bytes), is_tar: is_tar_by(&start) })
    }
}

/// The first bytes, and all of them. A pipe may deliver less at first.
fn peek<R: Read>(mut source: R) -> io::Result<(Vec<u8>, impl Read + use<R>)> {
    let (at, magic) = TAR_MAGIC;
    let mut start = Vec::new();
    source.by_ref().take((at + magic.len()) as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(source)))
}

fn is_tar_by(start: &[u8]) -> bool {
    let (at, magic) = TAR_MAGIC;
    start.get(at..).is_some_and(|start| start.starts_with(magic))
}

/// Inputs in groups: small files cost more to hand on one by one than to read.
pub struct Groups<'a, E> {
    give: &'a dyn Fn(Vec<Found>) -> Result<(), E>,
    most: usize,
    group: Vec<Found>,
    bytes: u64,
}

/// An input, or why there is none.
pub type Found = Result<Input, NotFound>;

impl<'a, E> Groups<'a, E> {
    /// Hands on groups of so many files at most.
    pub fn new(most: usize, give: &'a dyn Fn(Vec<Found>) -> Result<(), E>) -> Self {
        Self { give, most, group: Vec::new(), bytes: 0 }
    }

    /// Adds one.
    pub fn add(&mut self, found: Found) -> Result<(), E> {
        self.bytes += match &found {
            Ok(Input::File(path)) => path.metadata().map_or(0, |meta| meta.len()),
            Ok(Input::Stdin | Input::Tar(_)) => GROUP_BYTES,
            Err(_) => 0,
        };
        self.group.push(found);
        if self.bytes >= GROUP_BYTES || self.group.len() >= self.most { self.finish() } else { Ok(()) }
    }

    /// Hands on what is left.
    pub fn finish(&mut self) -> Result<(), E> {
        self.bytes = 0;
        let group = std::mem::take(&mut self.group);
        if group.is_empty() { Ok(()) } else { (self.give)(group) }
    }
}

/// Finds what paths name, and hands it on in their order; in directories and for patterns by name, which for the trees of
/// a recorder is by date. `-` is standard input.
pub fn find<E>(paths: &[PathBuf], mut visit: impl FnMut(Found) -> Result<(), E>) -> Result<(), E> {
    for path in paths {
        if path == Path::new("-") {
            visit(Ok(Input::Stdin))?;
        } else if path.is_dir() {
            let mut any = false;
            walk(path, &mut |input| {
                any = true;
                visit(input)
            })?;
            if !any {
                visit(Err((path.display().to_string(), InputError::NoArchives)))?;
            }
        } else if let Some(found) = matches(path) {
            if found.is_empty() {
                visit(Err((path.display().to_string(), InputError::NoMatch)))?;
            }
            found.into_iter().try_for_each(|path| match path.is_dir() {
                true => walk(&path, &mut visit),
                false => visit(Ok(Input::of(path))),
            })?;
        } else {
            visit(Ok(Input::of(path.clone())))?;
        }
    }
    Ok(())
}

/// Says of each file that paths name how many bytes it has.
pub fn sizes(paths: &[PathBuf], add: &dyn Fn(u64)) {
    // Nothing ends it early.
    let _ = find(paths, |found| {
        if let Ok(Input::File(path) | Input::Tar(path)) = found {
            add(path.metadata().map_or(0, |meta| meta.len()));
        }
        Ok::<_, ()>(())
    });
}

/// What a pattern matches, by name; `None` if the path is none, or names a file.
fn matches(path: &Path) -> Option<Vec<PathBuf>> {
    let text = path.to_str().filter(|text| text.contains(['*', '?', '[']))?;
    if path.exists() {
        return None;
    }
    Some(glob::glob(text).ok()?.filter_map(Result::ok).collect())
}

/// The archives below a directory, and tar files of some.
fn walk<E>(directory: &Path, visit: &mut impl FnMut(Found) -> Result<(), E>) -> Result<(), E> {
    for found in Tree::new(directory) {
        match found {
            Ok(path) if is_archive_name(&path) || is_tar(&path) => visit(Ok(Input::of(path)))?,
            Ok(_) => {}
            Err((path, error)) => visit(Err((path.display().to_string(), InputError::Open(error))))?,
        }
    }
    Ok(())
}

fn ends_in(path: &Path, ends: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    ends.iter().any(|end| name.ends_with(end.as_bytes()))
}
