//! SIGHUP: options are read again, and those count at once that can: filters, and the level of the log.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGHUP;

use crate::cli::{self, Cgroup, Cli};
use crate::filter::Filter;
use crate::log::Level;

/// Becomes readable when options are to be read again.
pub struct Reload {
    hangup: UnixStream,
    args: Vec<OsString>,
    level: Level,
    /// The options that count.
    current: Cli,
    /// The cgroups that they named when these were last looked at.
    cgroups: Vec<u64>,
    looked_at: Instant,
}

/// How often cgroups that are named by their paths are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Reload {
    /// Waits for the signal. `args` is the command line, of which the file it names may have changed by then.
    pub fn on_signal(args: Vec<OsString>, current: Cli, level: Level) -> io::Result<Self> {
        let (hangup, writer) = UnixStream::pair()?;
        hangup.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGHUP, writer)?;
        let cgroups = ids(&current);
        if cgroups.contains(&0) {
            tracing::warn!("a cgroup of the filter is not there; it counts as soon as it is");
        }
        Ok(Self { hangup, args, level, current, cgroups, looked_at: Instant::now() })
    }

    /// The filter, if a cgroup that it names by its path is another one now: that of a service that was started again.
    pub fn look_at_cgroups(&mut self, now: Instant) -> Option<Filter> {
        if self.cgroups.is_empty() || now.saturating_duration_since(self.looked_at) < LOOK_EVERY {
            return None;
        }
        self.looked_at = now;
        let cgroups = ids(&self.current);
        if cgroups == self.cgroups {
            return None;
        }
        self.cgroups = cgroups;
        tracing::info!("a cgroup of the filter is another one now");
        self.current.filters.filter().ok()
    }

    /// Reads the options again. The filter, if it has changed.
    pub fn read(&mut self) -> Option<Filter> {
        while self.hangup.read(&mut [0; 64]).is_ok_and(|len| len > 0) {}
        let new = match cli::load_again(self.args.iter().cloned()) {
            Ok(cli::Request::Record(new)) => *new,
            Ok(cli::Request::Show(_) | cli::Request::Print(_)) => return None,
            Err(cli::Refusal(reason)) => {
                tracing::error!(reason, "the options cannot be read again; those before still count");
                return None;
            }
        };
        let (before, now) = (self.current.filters.filter(), new.filters.filter());
        self.level.set(&new.log);
        self.current.filters = new.filters.clone();
        self.cgroups = ids(&self.current);
        self.current.log.set_level_of(&new.log);
        let needs_restart = format!("{:?}", self.current) != format!("{new:?}");
        tracing::info!(filter_changed = before != now, "options are read again");
        if needs_restart {
            tracing::warn!("other options than filters and --log-level have changed, too: they count after a restart");
        }
        now.ok().filter(|_| before != self.current.filters.filter())
    }
}

fn ids(cli: &Cli) -> Vec<u64> {
    cli.filters.cgroups().map(Cgroup::id).collect()
}

impl AsFd for Reload {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.hangup.as_fd()
    }
}
