//! From archives to where a table goes, whatever is made of them.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::common::Common;
use crate::convert::{Choice, Name, Product};
use crate::inputs::{self, Found, GROUP_FILES, Groups, Input};
use crate::output::Sink;
use crate::pipeline::{self, Emit, Stopped, Weigh};
use crate::progress::Progress;
use crate::report::{InputError, Report};
use crate::temporary::Target;
use crate::work::{Piece, Worker};

/// Why it ends before all is read.
pub(super) enum Stop {
    Output(io::Error),
    Strict,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Where a table goes: a file that gets its name when it is whole, or standard output.
pub(super) enum Output<W> {
    File(File),
    Standard(W),
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Standard(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Standard(out) => out.flush(),
        }
    }
}

/// Lets `write` write a table to where it is to go.
pub(super) fn write_to<W: Write>(
    path: Option<&Path>,
    stdout: W,
    write: impl FnOnce(Output<W>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    // What is open already is not opened anew: it may be at its end.
    let is_standard =
        |path: &Path| ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name));
    let Some(path) = path.filter(|path| !is_standard(path)) else { return write(Output::Standard(stdout)) };
    named(path, || match Target::new(path)? {
        Target::There(file) => write(Output::File(file)),
        Target::Beside(temporary, file) => {
            write(Output::File(file))?;
            Ok(temporary.keep()?)
        }
    })
}

/// An error of writing tells what was to be written.
pub(super) fn named(path: &Path, write: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    write().map_err(|stop| match stop {
        Stop::Output(error) => Stop::Output(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        Stop::Strict => Stop::Strict,
    })
}

/// Reads archives, and makes of them what `product` makes for `sink`.
pub(super) fn convert<P: Product<Made: Send + Weigh>>(
    args: &Common,
    choice: &Choice,
    product: impl Fn() -> P + Sync,
    mut sink: impl Sink<P::Made>,
    report: &mut Report<impl Write>,
) -> Result<(), Stop> {
    let paths = args.paths();
    refuse_input(args.output.as_deref(), &paths, "is one of the archives to read")?;
    let output = args.output.as_deref().and_then(identity);
    let find = |give: &dyn Fn(_) -> Result<(), Stopped>| {
        // Whoever stops at the first damage wants what was before it.
        let mut groups = Groups::new(if args.strict { 1 } else { GROUP_FILES }, give);
        // It ends early if nobody wants more.
        let _ = inputs::find(&paths, |found| groups.add(but_for(output, found))).and_then(|()| groups.finish());
    };
    let progress = if args.shows_progress() {
        let paths = paths.clone();
        Progress::shown(move |add| inputs::sizes(&paths, add))
    } else {
        Progress::hidden()
    };
    let worker = || {
        let mut worker = Worker::new(product(), choice.clone(), &progress);
        move |inputs, emit: &Emit<_>| worker.convert(inputs, emit)
    };
    let mut name = Name::default();
    let outcome = pipeline::run(args.jobs().min(P::MOST_JOBS), find, worker, |piece| {
        match piece {
            Piece::Begin(archive) => {
                report.begin(archive.to_string());
                name = archive;
                sink.begin()?;
            }
            Piece::Made(made) => sink.take(made)?,
            Piece::Fault(fault, so_far) => report.fault(fault, so_far),
            Piece::End(tally, last) => {
                report.end(tally, last);
                sink.end(&name)?;
            }
            Piece::Failed(name, error) => report.fail(&name, &error),
        }
        progress.show();
        if args.strict && report.any() { Err(Stop::Strict) } else { Ok(()) }
    });
    progress.end();
    if !matches!(outcome, Err(Stop::Output(_))) {
        // What was good is written, also where that is all.
        sink.finish()?;
    }
    outcome?;
    report.summary();
    Ok(())
}

/// No output replaces what is read: that is an error, in these words.
pub(super) fn refuse_input(output: Option<&Path>, inputs: &[PathBuf], what: &str) -> io::Result<()> {
    let output = output.and_then(identity);
    if output.is_some() && inputs.iter().any(|path| identity(path) == output) {
        return Err(io::Error::new(ErrorKind::InvalidInput, what));
    }
    Ok(())
}

/// What a file is, whatever it is called; `None` of what is no file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().filter(|meta| meta.is_file()).map(|meta| (meta.dev(), meta.ino()))
}

/// What is found, but for the table that will be replaced.
fn but_for(output: Option<(u64, u64)>, found: Found) -> Found {
    match found {
        Ok(Input::File(path)) if output.is_some() && identity(&path) == output => {
            Err((path.display().to_string(), InputError::IsOutput))
        }
        found => found,
    }
}
