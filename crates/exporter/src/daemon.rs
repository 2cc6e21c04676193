//! The daemon, from its options to its end.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use program::stop::Stop;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use streams::live::{self, Worker};
use web::{Counters, Server, WebConfig};

use crate::cli::Cli;
use crate::gatherer::Gatherer;
use crate::pages::Pages;
use crate::watch::{Watch, summary};

/// How often it looks whether packets are dropped, and whether all threads are there.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Captures and serves until told to stop.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    let stop = Stop::on_signals().context("cannot handle signals")?;
    if cli.go_metrics {
        tracing::info!("-go-metrics tells nothing here: this is no Go program");
    }
    let (workers, handle) = live::open(&cli.capture(), None)?;
    let gatherer = Arc::new(Gatherer::new(handle.clone(), cli.choice()));
    let server = serve(cli, &gatherer).with_context(|| format!("cannot serve metrics on {}", cli.port))?;
    let threads = start(workers)?;
    tracing::info!(
        interfaces = cli.interface.join(","),
        filter = cli.packet_filter,
        threads = threads.len(),
        "capturing"
    );
    let outcome = watch(&stop, &gatherer, &threads);
    match gatherer.totals() {
        Ok(gathered) => summary(&gathered, "at the end"),
        Err(error) => tracing::warn!(%error, "there is no summary"),
    }
    handle.stop();
    drop(server);
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    outcome?;
    anyhow::ensure!(ended.iter().all(Result::is_ok), ENDED_EARLY);
    Ok(())
}

const ENDED_EARLY: &str = "a thread that captures ended early";

fn serve(cli: &Cli, gatherer: &Arc<Gatherer>) -> anyhow::Result<Server> {
    let config = match &cli.web_config {
        None => WebConfig::default(),
        Some(path) => WebConfig::read(path).map_err(anyhow::Error::msg)?,
    };
    let registry = Registry::new();
    let counters = Counters::new("tcp_stream_exporter", &registry)?;
    if cli.process_metrics {
        registry.register(Box::new(ProcessCollector::for_self()))?;
    }
    let scheme = if config.has_tls() { "https" } else { "http" };
    let pages = Pages::new(Arc::clone(gatherer), registry, &cli.interface, &cli.packet_filter);
    let server = Server::start(cli.port.bind()?, config, pages, counters)?;
    tracing::info!(address = %server.address(), scheme, "metrics are served");
    Ok(server)
}

fn start(workers: Vec<Worker>) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let start = |(number, mut worker): (usize, Worker)| {
        let thread = thread::Builder::new().name(format!("capture-{number}"));
        thread.spawn(move || worker.run()).context("cannot start a thread")
    };
    workers.into_iter().enumerate().map(start).collect()
}

/// Looks after the threads until it is told to stop.
fn watch(stop: &Stop, gatherer: &Gatherer, threads: &[JoinHandle<()>]) -> anyhow::Result<()> {
    let mut watch = Watch::new(Instant::now());
    let timeout = Timespec { tv_sec: LOOK_EVERY.as_secs() as i64, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(0) => {}
            Err(Errno::INTR) => continue,
            outcome => return outcome.map(drop).context("cannot wait for the order to stop"),
        }
        anyhow::ensure!(!threads.iter().any(JoinHandle::is_finished), ENDED_EARLY);
        match gatherer.totals() {
            Ok(gathered) => watch.look(&gathered, Instant::now()),
            Err(error) => tracing::warn!(%error, "the capture cannot be looked after"),
        }
    }
}
