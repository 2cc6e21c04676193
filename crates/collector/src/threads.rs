//! The threads that work on the archive while the main thread polls.

use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Sender, bounded};
use saver::{Config, Counters, Limits, Recovery, Saver, Spool};

use crate::outbox::Inbox;
use crate::retention;
use crate::worker::{self, Outlive};

/// How long recovery may go on when the daemon is to end; what is left by then is left to the next start.
const RECOVERY_AT_END: Duration = Duration::from_secs(3);

/// How many files that could not be recovered the log names; a disk that refuses one may refuse thousands.
const RECOVERY_ERRORS_TOLD: usize = 10;

/// Workers, recovery and retention.
pub struct Threads {
    workers: Vec<JoinHandle<Outlive>>,
    others: Vec<JoinHandle<()>>,
    /// When the end began.
    ending: Arc<OnceLock<Instant>>,
    /// Dropped to end the retention.
    end: Sender<()>,
}

impl Threads {
    /// Starts a worker for each inbox, and the others as far as there is something to do for them.
    pub fn start(
        spool: &Arc<Spool>,
        config: &Config,
        limits: Limits,
        counters: &Counters,
        inboxes: Vec<Inbox>,
    ) -> anyhow::Result<Self> {
        let noted = saver::noted_sequences(spool, &config.prefix);
        let mut workers = Vec::new();
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let mut saver = Saver::new(config.clone(), Arc::clone(spool), counters.clone()).context("zstd")?;
            saver.continue_noted(&noted);
            workers.push(worker::start(number, saver, inbox).context("cannot start a worker thread")?);
        }
        let ending = Arc::new(OnceLock::new());
        let mut others = Vec::new();
        others.extend(start_recovery(spool, counters.clone(), &ending)?);
        let (end, ended) = bounded(0);
        if limits.max_disk.is_some() || limits.retain.is_some() {
            let started = retention::start(spool.output(), limits, counters.clone(), ended);
            others.push(started.context("cannot start a thread")?);
        }
        Ok(Self { workers, others, ending, end })
    }

    /// Waits until all have ended: the workers do when `finish` has closed their inboxes. Every thread gets the time to
    /// finish its files, whatever became of the others.
    pub fn join(self, finish: impl FnOnce()) -> anyhow::Result<Outlive> {
        let Self { workers, others, ending, end } = self;
        ending.get_or_init(Instant::now);
        drop(end);
        finish();
        let workers: Vec<_> = workers.into_iter().map(JoinHandle::join).collect();
        let others: Vec<_> = others.into_iter().map(JoinHandle::join).collect();
        let mut outlive = Outlive::new();
        for worker in workers {
            outlive.extend(worker.ok().context(ENDED_EARLY)?);
        }
        anyhow::ensure!(others.iter().all(Result::is_ok), ENDED_EARLY);
        Ok(outlive)
    }
}

const ENDED_EARLY: &str = "a thread of the archive ended early; what it still held is lost";

/// Finishes in the background what an earlier run left: it must not delay the first poll.
fn start_recovery(
    spool: &Arc<Spool>,
    counters: saver::Counters,
    ending: &Arc<OnceLock<Instant>>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if spool.leftovers().is_empty() {
        return Ok(None);
    }
    let (spool, ending) = (Arc::clone(spool), Arc::clone(ending));
    let recover = move || {
        let Recovery { finished, removed, damaged, bytes_cut, left, errors } =
            saver::recover(&spool, &counters, || ending.get().is_none_or(|at| at.elapsed() < RECOVERY_AT_END));
        tracing::info!(finished, removed, damaged, bytes_cut, left, "finished the files that an earlier run left");
        for error in errors.iter().take(RECOVERY_ERRORS_TOLD) {
            tracing::error!(%error, "a file of an earlier run stays in the spool directory");
        }
        let more = errors.len().saturating_sub(RECOVERY_ERRORS_TOLD);
        if more > 0 {
            tracing::error!(more, "further files of an earlier run stay in the spool directory");
        }
    };
    Ok(Some(thread::Builder::new().name("recovery".to_owned()).spawn(recover).context("cannot start a thread")?))
}
