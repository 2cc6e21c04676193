//! The recorder as a whole: one thread that polls and listens, workers that write.

use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::bounded;
use saver::{Config, HeaderFacts, Limits, Recovery, Saver, Spool};

use crate::cli::{Cli, Interval};
use crate::host::{Host, has_net_admin};
use crate::metrics::Metrics;
use crate::observer::Observer;
use crate::outbox::Outbox;
use crate::poller::Poller;
use crate::retention;
use crate::source::DestroySource;
use crate::stop::Stop;
use crate::summary::Summary;
use crate::worker;

/// Frames of real records are as small as at level 3 (61.8 against 62.0 bytes a record), and made a quarter faster.
const ZSTD_LEVEL: i32 = 1;
const MAX_WORKERS: usize = 4;

/// How long recovery may go on when the daemon is to end; what is left by then is left to the next start.
const RECOVERY_AT_END: Duration = Duration::from_secs(3);

/// Records until told to stop, and says what was recorded.
pub fn run(cli: &Cli, stop: &Stop) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let host = Host::read()?;
    let default_spool = cli.output.join(".spool");
    let spool = Arc::new(Spool::open(&cli.output, cli.spool.as_ref().unwrap_or(&default_spool))?);
    let prefix = match &cli.uuid_prefix_file {
        Some(path) => saver::prefix_from_file(path)?,
        None => host.uuid_prefix(&spool)?,
    };
    let metrics = Metrics::new().context("cannot make the metrics")?;
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let config = Config {
        prefix,
        boot_time: host.boot_time,
        rotation: cli.rotation,
        flush_age: cli.flush_age,
        memory_limit: usize::try_from(cli.memory_limit.as_u64()).unwrap_or(usize::MAX) / workers,
        level: ZSTD_LEVEL,
        header: HeaderFacts {
            kernel_release: Some(host.kernel_release),
            boot_id: host.boot_id,
            interval: Some(cli.interval.to_string()),
            achieved_interval: None,
            version: Some(concat!("tcp-info ", env!("CARGO_PKG_VERSION")).to_owned()),
        },
    };
    let destroy = open_destroy_source(cli)?;
    let (outbox, inboxes) = Outbox::new(workers, metrics.stalls.clone());
    let mut threads = Vec::new();
    for (number, inbox) in inboxes.into_iter().enumerate() {
        let saver = Saver::new(config.clone(), Arc::clone(&spool), metrics.archive.clone()).context("zstd")?;
        threads.push(worker::start(number, saver, inbox).context("cannot start a worker thread")?);
    }
    let ending = Arc::new(OnceLock::new());
    let recovery = start_recovery(&spool, metrics.archive.clone(), &ending)?;
    let limits = Limits { max_disk: cli.max_disk.map(|size| size.as_u64()), retain: cli.retain };
    let (end, ended) = bounded(0);
    let retention = (limits.max_disk.is_some() || limits.retain.is_some())
        .then(|| retention::start(&cli.output, limits, metrics.archive.clone(), ended))
        .transpose()
        .context("cannot start a thread")?;
    tracing::info!(
        output = %cli.output.display(), interval = %cli.interval, prefix = config.prefix, "recording"
    );

    let mut poller = Poller::new(Observer::new(cli, destroy, outbox, metrics.clone()));
    let outcome = poller.record(cli, stop);
    tracing::info!("ending: finishing every file");
    ending.get_or_init(Instant::now);
    drop(end);
    poller.finish();
    // Every thread gets the time to finish its files, whatever became of the others.
    let joined: Vec<_> = threads.into_iter().chain(recovery).chain(retention).map(JoinHandle::join).collect();
    outcome?;
    anyhow::ensure!(
        joined.iter().all(Result::is_ok),
        "a thread of the archive ended early; what it still held is lost"
    );
    Ok(Summary::new(&metrics, cli.output.clone(), started.elapsed()))
}

/// Destroy events are half of what is recorded; without polls they are all of it.
fn open_destroy_source(cli: &Cli) -> anyhow::Result<Option<DestroySource>> {
    let source = match DestroySource::open(cli.destroy_buffer) {
        Ok(source) => Some(source),
        Err(error) if cli.interval == Interval::Off => {
            return Err(error).context("cannot listen for destroy events, and --interval off records nothing else");
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen for destroy events: connections between two polls are not seen, and last records may lack the final counters");
            None
        }
    };
    if !has_net_admin() {
        let buffer = source.as_ref().map_or(0, DestroySource::buffer_len);
        tracing::warn!(
            destroy_buffer_bytes = buffer,
            "without CAP_NET_ADMIN socket marks are not visible, and bursts of ending connections may overrun the small event buffer"
        );
    }
    Ok(source)
}

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
        let Recovery { finished, removed, bytes_cut, left, errors } =
            saver::recover(&spool, &counters, || ending.get().is_none_or(|at| at.elapsed() < RECOVERY_AT_END));
        tracing::info!(finished, removed, bytes_cut, left, "finished the files that an earlier run left");
        for error in errors {
            tracing::error!(%error, "a file of an earlier run stays in the spool directory until the next start");
        }
    };
    Ok(Some(thread::Builder::new().name("recovery".to_owned()).spawn(recover).context("cannot start a thread")?))
}
