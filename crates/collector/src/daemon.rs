//! The recorder as a whole: one thread that polls and listens, workers that write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use saver::{Config, HeaderFacts, Limits, Spool};

use crate::anonymize::Anonymizer;
use crate::cli::{Cli, ExtendedStatistics, Interval};
use crate::events::Events;
use crate::extended::{self, Extended};
use crate::health::Health;
use crate::host::{Host, has_net_admin};
use crate::join::Joiner;
use crate::metrics::{Metrics, register_capture, register_host};
use crate::observer::Observer;
use crate::outbox::Outbox;
use crate::outlet::Outlet;
use crate::packets::Packets;
use crate::poller::Poller;
use crate::reload::Reload;
use crate::serving::serve;
use crate::source::DestroySource;
use crate::summary::Summary;
use crate::threads::Threads;
use crate::worker::Outlive;
use program::stop::Stop;

/// Frames of real records are as small as at level 3 (61.8 against 62.0 bytes a record), and made a quarter faster.
const ZSTD_LEVEL: i32 = 1;
const MAX_WORKERS: usize = 4;

/// Records until told to stop, and says what was recorded. With `reload`, filters and log level follow SIGHUP.
pub fn run(cli: &Cli, stop: &Stop, reload: Option<&mut Reload>) -> anyhow::Result<Summary> {
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
    let mut config = Config {
        prefix,
        boot_time: host.boot_time,
        rotation: cli.rotation,
        flush_age: begin_to_write_at(cli.flush_age),
        memory_limit: usize::try_from(cli.memory_limit.as_u64()).unwrap_or(usize::MAX) / workers,
        level: ZSTD_LEVEL,
        header: HeaderFacts {
            kernel_release: Some(host.kernel_release),
            boot_id: host.boot_id,
            interval: Some(cli.interval.to_string()),
            achieved_interval: None,
            asked_attributes: Some(cli.attributes.to_string()),
            estats: None,
            version: Some(concat!("tcp-info ", env!("CARGO_PKG_VERSION")).to_owned()),
        },
    };
    // Before there are other threads, which would keep what it takes.
    let extended = load_extended(cli, &metrics, &mut config.header)?;
    let values = extended.as_ref().map(|extended| extended.request());
    let lasts_lost = extended.as_ref().map(|extended| extended.lost());
    let filter = cli.filters.filter().map_err(anyhow::Error::msg)?;
    let health = Arc::new(Health::new(match cli.interval {
        Interval::Off => None,
        Interval::Every(interval) => Some(interval),
    }));
    metrics.register_storage(&cli.output).context("cannot make the metrics")?;
    metrics.archive.memory_limit.set(cli.memory_limit.as_u64().try_into().unwrap_or(i64::MAX));
    register_host(&metrics.registry, &metrics.errors).context("cannot make the metrics")?;
    let server = serve(cli, &metrics.registry, &health)?;
    let destroy = open_destroy_source(cli)?;
    let anonymizer = Arc::new(cli.anonymize.anonymizer()?);
    let (packets, joiner) = start_capture(cli, &metrics)?;
    let (outbox, inboxes) = Outbox::new(workers, metrics.stalls.clone(), Arc::clone(&anonymizer), joiner, extended);
    let events = start_events(cli, &config.prefix, anonymizer, &metrics)?;
    let limits = Limits { max_disk: cli.max_disk.map(|size| size.as_u64()), retain: cli.retain };
    let threads = Threads::start(&spool, &config, limits, &metrics.archive, inboxes)?;
    tracing::info!(
        output = %cli.output.display(), interval = %cli.interval, prefix = config.prefix, "recording"
    );

    let mut ledger = metrics.ledger();
    // Without polls there is nothing to compare with.
    ledger.sees_all(cli.interval == Interval::Off);
    let outlet = Outlet::new(outbox, events, ledger);
    let health_of_polls = Arc::clone(&health);
    let observer =
        Observer::new(cli.attributes.clone(), filter, values, destroy, outlet, metrics.clone(), health_of_polls);
    let mut poller = Poller::new(observer);
    let outcome = poller.record(cli, stop, reload);
    health.is_ending();
    tracing::info!("ending: finishing every file");
    // Before the recording: final records wait for what the last packets say.
    let captured = packets.map_or(Ok(()), Packets::finish);
    let outlive = threads.join(|| poller.finish());
    drop(server);
    outcome?;
    captured?;
    let has_polled = ["ipv4", "ipv6"].iter().all(|af| metrics.polls.with_label_values(&[af]).get() > 0);
    note_sequences(&spool, &config.prefix, outlive?, has_polled);
    Ok(Summary::new(&metrics, cli.output.clone(), started.elapsed(), lasts_lost.map_or(0, |lost| lost.get())))
}

/// Looks at packets, if that is asked for.
fn start_capture(cli: &Cli, metrics: &Metrics) -> anyhow::Result<(Option<Packets>, Option<Joiner>)> {
    if cli.streams.is_empty() {
        return Ok((None, None));
    }
    let (packets, accounts) = Packets::start(&cli.streams)?;
    register_capture(&metrics.registry, packets.handle().clone()).context("cannot make the metrics")?;
    let joiner = Joiner::new(accounts, metrics.streams.clone(), Instant::now());
    Ok((Some(packets), Some(joiner)))
}

/// Has extended statistics kept, if that is asked for. Where they cannot be, it records without.
fn load_extended(cli: &Cli, metrics: &Metrics, header: &mut HeaderFacts) -> anyhow::Result<Option<Box<Extended>>> {
    if cli.estats == ExtendedStatistics::Off {
        return Ok(None);
    }
    let counters = extended::Counters::new(&metrics.registry).context("cannot make the metrics")?;
    let (extended, hooks) = Extended::start(cli.estats, counters);
    header.estats = Some(hooks);
    Ok(extended.map(Box::new))
}

/// Serves the event sockets that are asked for.
fn start_events(
    cli: &Cli,
    prefix: &str,
    anonymizer: Arc<Anonymizer>,
    metrics: &Metrics,
) -> anyhow::Result<Option<Events>> {
    let (v1, v2) = (cli.eventsocket.as_deref(), cli.eventsocket_v2.as_deref());
    if v1.is_none() && v2.is_none() {
        return Ok(None);
    }
    let events = Events::start(v1, v2, prefix, anonymizer, metrics.events.clone());
    Ok(Some(events.context("cannot serve the event socket")?))
}

/// Age at which records begin to be written, so that they are on disk at `flush_age`: a tenth before, half a second at most.
fn begin_to_write_at(flush_age: Duration) -> Duration {
    flush_age - (flush_age / 10).min(Duration::from_millis(500))
}

/// Notes for the next run where the SEQ of the connections that are still open goes on. Where no poll has shown which
/// these are, what the run before noted still counts.
fn note_sequences(spool: &Spool, prefix: &str, outlive: Outlive, has_polled: bool) {
    let kept = if has_polled { Vec::new() } else { saver::noted_sequences(spool, prefix) };
    let sequences: BTreeMap<u64, u32> = kept.into_iter().chain(outlive).collect();
    if let Err(error) = saver::note_sequences(spool, prefix, sequences) {
        tracing::warn!(%error, "cannot note the next file numbers of open connections for the next run");
    }
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
