//! A file or directory that is there when it is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

/// A path under a temporary name beside its own, which it gets when it is [kept](Self::keep). Dropped before, it is
/// removed; so it is if the program is told to end.
#[derive(Debug)]
pub struct Temporary {
    temporary: PathBuf,
    path: PathBuf,
    signals: Option<Handle>,
    is_kept: bool,
}

/// Where a file is written.
#[derive(Debug)]
pub enum Target {
    /// Under a temporary name.
    Beside(Temporary, File),
    /// Right there: it is a pipe, a terminal or another device.
    There(File),
}

impl Target {
    /// The file of that path, to be written. One that is there already stays as it is until the new one is whole; where the
    /// path is a link, that is the file it leads to.
    pub fn new(path: &Path) -> io::Result<Self> {
        let Ok(before) = fs::metadata(path) else {
            refuse_dead_link(path)?;
            let temporary = Temporary::beside(path)?;
            let file = File::create(&temporary.temporary)?;
            return Ok(Self::Beside(temporary, file));
        };
        if before.is_dir() {
            return Err(io::Error::new(ErrorKind::IsADirectory, "is a directory"));
        }
        let path = path.canonicalize()?;
        if !before.is_file() || is_mounted(&path) {
            return Ok(Self::There(File::options().write(true).truncate(before.is_file()).open(path)?));
        }
        let temporary = Temporary::beside(&path)?;
        let file = File::create(&temporary.temporary)?;
        file.set_permissions(before.permissions())?;
        Ok(Self::Beside(temporary, file))
    }
}

impl Temporary {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("names no file"))?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.partial", std::process::id()));
        let temporary = path.with_file_name(temporary);
        let signals = remove_on_signal(&temporary).ok();
        Ok(Self { temporary, path: path.to_owned(), signals, is_kept: false })
    }

    /// A directory, to be filled. One of its name must be empty.
    pub fn directory(path: &Path) -> io::Result<Self> {
        let exists = |what| Err(io::Error::new(ErrorKind::AlreadyExists, what));
        let path = match path.canonicalize() {
            Ok(path) if !path.is_dir() => return exists("is no directory"),
            Ok(path) if fs::read_dir(&path)?.next().is_some() => {
                return exists("there is something in it; name a new directory");
            }
            Ok(path) if is_mounted(&path) => return exists("another file system begins there; name a directory in it"),
            Ok(path) => path,
            Err(_) => {
                refuse_dead_link(path)?;
                path.to_owned()
            }
        };
        let this = Self::beside(&path)?;
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
        if let Some(signals) = &self.signals {
            signals.close();
        }
        if !self.is_kept {
            remove(&self.temporary);
        }
    }
}

/// What is mounted cannot be replaced.
fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|meta| meta.dev()).ok();
    path.parent().is_some_and(|parent| device(parent) != device(path))
}

fn refuse_dead_link(path: &Path) -> io::Result<()> {
    match path.is_symlink() {
        true => Err(io::Error::new(ErrorKind::NotFound, "is a link to nothing")),
        false => Ok(()),
    }
}

fn remove(path: &Path) {
    // If it cannot be, it can be seen.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// Signals to end remove it first; those that are ignored, as `nohup` has it, still are.
fn remove_on_signal(path: &Path) -> io::Result<Handle> {
    let ignored = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let is_heeded = |signal: &i32| ignored.unwrap_or(0) >> (signal - 1) & 1 == 0;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_heeded))?;
    let handle = signals.handle();
    let path = path.to_owned();
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            remove(&path);
            // It ends the program as it would have.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(handle)
}
