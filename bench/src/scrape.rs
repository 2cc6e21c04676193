//! Metrics of a host with many connections: whether they are true, and what they cost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::lab::Lab;
use crate::run::{SERVERS_OF_CHURN, directory, shares, start_holding, start_recorder};
use crate::scenario::Scenario;
use crate::usage::Usage;

const ADDRESS: &str = "127.0.0.1:9991";
/// New connections a second that become sockets in TIME_WAIT.
const CHURN: usize = 4000;
/// What was counted is told again for a second.
const FRESH: Duration = Duration::from_millis(1100);
const ROUNDS: usize = 10;
const AT_ONCE: usize = 20;
/// Connections that are held, and others that have ended; a recorder is asked for its metrics.
pub(crate) fn scrape(scenario: &Scenario) -> anyhow::Result<()> {
    let mut lab = Lab::new()?;
    let mut processes = Vec::new();
    for count in shares(scenario.connections) {
        processes.extend(start_holding(&mut lab, count, scenario.rate, scenario.size)?.0);
    }
    let output = directory(scenario)?;
    let recorder = start_recorder(&lab, scenario, output.path())?;
    let mut arguments = vec![scenario.time_wait.to_string(), CHURN.to_string()];
    for _ in 0..SERVERS_OF_CHURN {
        let (server, address) = lab.server()?;
        processes.push(server);
        arguments.push(address.to_string());
    }
    let mut client = lab.client("churn", &arguments)?;
    client.expect("ready")?;
    client.go()?;
    client.expect("done ")?;
    compare(&lab)?;
    let (alone, cpu) = one_by_one(&lab, recorder.pid())?;
    println!("a scrape with a dump: {alone:.1} ms (median of {ROUNDS}), {cpu:.1} ms of CPU");
    at_once(&lab)?;
    let summary = recorder.terminate()?;
    eprintln!("{}", summary.trim());
    Ok(())
}

/// Prints each state as `ss` counts it before and after, and as it is told between. The scrape itself is in one of them:
/// both ends of its connection, and what the kernel keeps of those before it.
fn compare(lab: &Lab) -> anyhow::Result<()> {
    let before = lab.states();
    let told = lab.on_recorded_side(get)?;
    let after = lab.states();
    println!("| state | ss before | told | ss after |\n|---|---|---|---|");
    for ((state, before), (_, after)) in before.into_iter().zip(after) {
        let value = value(&told, &format!("tcp_connections_total{{state=\"{state}\"}}"))?;
        println!("| {state} | {before} | {value} | {after} |");
    }
    Ok(())
}

/// Milliseconds of a scrape, and of the recorder's CPU that it takes beside what polls take.
fn one_by_one(lab: &Lab, recorder: u32) -> anyhow::Result<(f64, f64)> {
    let mut times = Vec::new();
    let mut with = 0.0;
    let mut without = 0.0;
    for _ in 0..ROUNDS {
        for scrapes in [true, false] {
            let before = Usage::of(recorder)?;
            let begin = Instant::now();
            if scrapes {
                lab.on_recorded_side(get)?;
                times.push(begin.elapsed().as_secs_f64() * 1e3);
            }
            lab.pass(FRESH.saturating_sub(begin.elapsed()))?;
            let (user, system) = Usage::of(recorder)?.since(&before);
            *(if scrapes { &mut with } else { &mut without }) += (user + system) * 1e3;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], (with - without) / ROUNDS as f64))
}

fn at_once(lab: &Lab) -> anyhow::Result<()> {
    let dumps = |told: &str| value(told, "tcpinfo_host_dumps_total");
    lab.pass(FRESH)?;
    let before = dumps(&lab.on_recorded_side(get)?)?;
    lab.pass(FRESH)?;
    let begin = Instant::now();
    let told: Vec<_> = lab.on_recorded_side(|| {
        let scrapes: Vec<_> = (0..AT_ONCE).map(|_| thread::spawn(get)).collect();
        scrapes
            .into_iter()
            .map(|scrape| scrape.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
            .collect::<anyhow::Result<_>>()
    })?;
    let took = begin.elapsed().as_secs_f64() * 1e3;
    let most =
        told.iter().map(|told| dumps(told)).try_fold(0.0, |most: f64, dumps| dumps.map(|dumps| most.max(dumps)))?;
    println!("{AT_ONCE} scrapes at once: {took:.1} ms until the last has its answer, {} dump(s)", most - before);
    Ok(())
}

/// The metrics, asked for in the namespace of this thread.
fn get() -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(ADDRESS).context("the recorder does not serve metrics")?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{}", answer.lines().next().unwrap_or_default());
    Ok(answer)
}

fn value(told: &str, series: &str) -> anyhow::Result<f64> {
    let found = told.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
    found.with_context(|| format!("{series} is not told"))
}
