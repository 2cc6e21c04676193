//! What looking at packets costs under load, and whether it misses any.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use flate2::read::GzDecoder;

use crate::lab::Lab;
use crate::usage::Usage;

const ADDRESS: &str = "127.0.0.1:9100";
const SCRAPE_EVERY: Duration = Duration::from_secs(5);

/// A load, and what looks at it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Load {
    /// Connections at a time; each has two streams
    #[arg(long, default_value_t = 2000)]
    connections: usize,

    /// Bytes that are written at a time
    #[arg(long, default_value_t = 16_384)]
    size: usize,

    /// Connections that end at once, each five seconds, and are made anew
    #[arg(long, default_value_t = 750)]
    ending: usize,

    /// Time that is measured
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    window: Duration,

    /// Segments are cut by the sender, so that each is a packet of its own
    #[arg(long)]
    no_gso: bool,

    /// Look at nothing: what the load is by itself
    #[arg(long)]
    alone: bool,

    /// The exporter
    #[arg(long, default_value = "target/release/tcp-stream-exporter")]
    exporter: PathBuf,

    /// More options of the exporter
    #[arg(last = true)]
    options: Vec<String>,
}

/// Puts the load on a veth pair, has an exporter look at it, scrapes it, and prints what came of it.
pub(crate) fn streams(load: &Load) -> anyhow::Result<()> {
    let mut lab = Lab::new()?;
    if load.no_gso {
        lab.cut_segments();
    }
    let exporter = if load.alone { None } else { Some(start_exporter(&lab, load)?) };
    let (_server, address) = lab.server()?;
    let every = SCRAPE_EVERY.as_millis().to_string();
    let arguments =
        [address.to_string(), load.connections.to_string(), load.size.to_string(), load.ending.to_string(), every];
    let mut client = lab.client("bulk", &arguments)?;
    client.expect("ready")?;
    client.go()?;
    lab.pass(SCRAPE_EVERY)?;

    let before = Sample::take(&lab, exporter.as_ref().map(crate::lab::Process::pid))?;
    let (mut scrapes, mut most_memory) = (Vec::new(), 0);
    while before.at.elapsed() < load.window {
        lab.pass(SCRAPE_EVERY)?;
        if let Some(exporter) = &exporter {
            let begin = Instant::now();
            lab.on_recorded_side(get)?;
            scrapes.push(begin.elapsed().as_secs_f64() * 1e3);
            most_memory = most_memory.max(Usage::of(exporter.pid())?.rss);
        }
    }
    let after = Sample::take(&lab, exporter.as_ref().map(crate::lab::Process::pid))?;
    println!("{}", after.since(&before));
    if exporter.is_some() {
        let told = lab.on_recorded_side(get)?;
        scrapes.sort_by(f64::total_cmp);
        for name in [
            "tcp_streams_tracked",
            "capture_dropped_packets_total",
            "capture_queue_freezes_total",
            "capture_longest_pause_seconds",
            "capture_longest_pause_cpu_seconds",
        ] {
            println!("{name} {}", value(&told, name)?);
        }
        println!("resident {:.1} MB at most", most_memory as f64 / 1e6);
        println!(
            "a scrape {:.1} ms (median), {:.1} ms at most",
            scrapes[scrapes.len() / 2],
            scrapes[scrapes.len() - 1]
        );
    }
    Ok(())
}

fn start_exporter(lab: &Lab, load: &Load) -> anyhow::Result<crate::lab::Process> {
    ensure!(load.exporter.exists(), "{} is not there: cargo build --release", load.exporter.display());
    let options = ["-interface", "veth0", "-port", ADDRESS].map(str::to_owned);
    let program = [load.exporter.display().to_string(), "--".to_owned()];
    let arguments: Vec<_> = program.into_iter().chain(options).chain(load.options.iter().cloned()).collect();
    let exporter = lab.client("exec", &arguments)?;
    let begin = Instant::now();
    while lab.on_recorded_side(get).is_err() {
        ensure!(begin.elapsed() < Duration::from_secs(5), "the exporter does not serve metrics");
        lab.pass(Duration::from_millis(20))?;
    }
    Ok(exporter)
}

/// Counters at a moment.
struct Sample {
    at: Instant,
    /// Bytes and packets that have passed the interface, as it counts them, both ways.
    passed: [u64; 2],
    exporter: Option<Looked>,
}

/// What an exporter has taken, and looked at.
struct Looked {
    usage: Usage,
    capture: Duration,
    frames: f64,
    segments: f64,
}

impl Sample {
    fn take(lab: &Lab, exporter: Option<u32>) -> anyhow::Result<Self> {
        let exporter = match exporter {
            None => None,
            Some(pid) => {
                let told = lab.on_recorded_side(get)?;
                Some(Looked {
                    usage: Usage::of(pid)?,
                    capture: Usage::of_threads(pid, "capture")?,
                    frames: value(&told, "capture_packets_processed_total")?,
                    segments: value(&told, "tcp_streams_packets_total")?,
                })
            }
        };
        Ok(Self { at: Instant::now(), passed: lab.passed()?, exporter })
    }

    fn since(&self, before: &Self) -> String {
        let seconds = (self.at - before.at).as_secs_f64();
        let [bytes, packets] = [0, 1].map(|i| (self.passed[i] - before.passed[i]) as f64 / seconds);
        let load = format!("{:.2} Gbit/s, {packets:.0} packets/s on the interface", bytes * 8.0 / 1e9);
        let Some((now, then)) = self.exporter.as_ref().zip(before.exporter.as_ref()) else { return load };
        let (frames, segments) = (now.frames - then.frames, now.segments - then.segments);
        let (user, system) = now.usage.since(&then.usage);
        let capture = (now.capture - then.capture).as_secs_f64();
        format!(
            "{load}\n{:.0} frames/s and {:.0} segments/s looked at\nCPU of one core: {:.1} % user, {:.1} % system; the \
             capturing thread alone {:.1} %, {:.0} ns a frame",
            frames / seconds,
            segments / seconds,
            user / seconds * 100.0,
            system / seconds * 100.0,
            capture / seconds * 100.0,
            capture / frames * 1e9,
        )
    }
}

/// The metrics, asked for as Prometheus asks for them, in the namespace of this thread.
fn get() -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(ADDRESS).context("the exporter does not serve metrics")?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no answer")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..end]));
    let mut text = String::new();
    GzDecoder::new(&answer[end + 4..]).read_to_string(&mut text)?;
    Ok(text)
}

fn value(told: &str, series: &str) -> anyhow::Result<f64> {
    let found = told.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    found.with_context(|| format!("{series} is not told"))
}
