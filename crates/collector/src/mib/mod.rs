//! `tcp-info estats`: the tables of TCP-ESTATS-MIB, live.
//!
//! It loads programs of its own, beside those of any daemon, and writes nothing but what it shows.
//!
//! 1. `watch`: the kernel is polled, and tells of each connection's end.
//! 2. `json` and `text`: that is shown.

mod json;
mod text;
mod watch;

use std::io::{self, ErrorKind, IsTerminal, StdoutLock};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use program::stop::Stop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::cli::EstatsArgs;
use json::Json;
use text::Text;
use watch::{Connection, Look, Watch};

/// How often ends are taken in: before the buffers of the kernel are full of them.
const TICK: Duration = Duration::from_millis(50);

/// Shows what is asked for until told to stop, or until nobody reads it any more.
pub fn run(args: &EstatsArgs, stop: &Stop) -> anyhow::Result<()> {
    let mut watch = Watch::start(args)?;
    let stdout = io::stdout().lock();
    let mut out = if args.json {
        Out::Json(Json::new(stdout, args.tables()))
    } else {
        let screen = io::stdout().is_terminal();
        Out::Text(Text::new(stdout, args.tables(), watch.missing().to_vec(), screen))
    };
    match show(args, stop, &mut watch, &mut out) {
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {
            Ok(())
        }
        outcome => outcome,
    }
}

fn show(args: &EstatsArgs, stop: &Stop, watch: &mut Watch, out: &mut Out<'_>) -> anyhow::Result<()> {
    let mut next = Instant::now();
    let mut looks = 0;
    loop {
        if Instant::now() >= next {
            // What ended before this look comes before it.
            watch.ends(|connection| out.end(connection))?;
            match watch.look() {
                Ok(look) => {
                    out.look(&look)?;
                    looks += 1;
                }
                Err(error) if error.is_passing() => tracing::warn!(%error, "a look failed; the next is in its time"),
                Err(error) => return Err(error.into()),
            }
            if args.reps > 0 && looks == args.reps {
                return Ok(());
            }
            // Looks that were missed are not made up for.
            let now = Instant::now();
            while next <= now {
                next += args.interval;
            }
        }
        let until = next.saturating_duration_since(Instant::now()).min(TICK);
        if is_told_to_stop(stop, until)? {
            return Ok(());
        }
        watch.ends(|connection| out.end(connection))?;
    }
}

/// Waits this long, or less if told to stop.
fn is_told_to_stop(stop: &Stop, wait: Duration) -> anyhow::Result<bool> {
    let timeout = Timespec::try_from(wait).context("a time that is too long")?;
    match poll(&mut [PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error).context("cannot wait for the next look"),
    }
}

enum Out<'a> {
    Json(Json<StdoutLock<'a>>),
    Text(Text<StdoutLock<'a>>),
}

impl Out<'_> {
    fn look(&mut self, look: &Look<'_>) -> io::Result<()> {
        match self {
            Out::Json(json) => json.look(look),
            Out::Text(text) => text.look(look),
        }
    }

    fn end(&mut self, connection: &Connection) -> io::Result<()> {
        match self {
            Out::Json(json) => json.end(connection),
            Out::Text(text) => text.end(connection),
        }
    }
}
