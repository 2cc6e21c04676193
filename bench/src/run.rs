//! The recorder and the floor in turn, on the same connections.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::Utc;
use tempfile::TempDir;

use crate::archive::Archive;
use crate::lab::{Lab, Process};
use crate::scenario::Scenario;
use crate::table::{self, Round};
use crate::usage::Usage;

/// Descriptors of one process are limited.
const CONNECTIONS_PER_PROCESS: usize = 15_000;
/// The floor is measured for so long before the recorder and after it.
const FLOOR_SECONDS: f64 = 5.0;
pub(crate) const SERVERS_OF_CHURN: usize = 20;

/// Connections that are held open.
pub(crate) fn hold(scenario: &Scenario) -> anyhow::Result<()> {
    let mut lab = Lab::new()?;
    let mut processes = Vec::new();
    for count in shares(scenario.connections) {
        processes.extend(start_holding(&mut lab, count, scenario.rate, scenario.size)?.0);
    }
    let mut scenario = scenario.clone();
    for count in shares(scenario.excluded) {
        let (excluded, server) = start_holding(&mut lab, count, 0.0, 0)?;
        processes.extend(excluded);
        scenario.options.push(format!("--exclude-dstport={}", server.port()));
    }
    let scenario = &scenario;
    // One connection ticks: its records tell how often was polled, whatever the others do.
    processes.extend(start_holding(&mut lab, 1, 50.0, 1)?.0);
    let sockets = lab.sockets("established");
    let mut rounds = Vec::new();
    for _ in 0..scenario.rounds {
        let before = floor(&lab, scenario)?;
        let mut round = record(&lab, scenario)?;
        let after = floor(&lab, scenario)?;
        round.floor_us = (before + after) / 2.0;
        round.sockets = sockets;
        rounds.push(round);
    }
    table::print(&scenario.name, rounds);
    Ok(())
}

/// A number of connections, as processes hold them.
pub(crate) fn shares(mut connections: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let share = connections.min(CONNECTIONS_PER_PROCESS);
        connections -= share;
        (share > 0).then_some(share)
    })
}

/// Their server, their client, and where the server is.
pub(crate) fn start_holding(
    lab: &mut Lab,
    count: usize,
    rate: f64,
    size: usize,
) -> anyhow::Result<([Process; 2], SocketAddr)> {
    let (server, address) = lab.server()?;
    let arguments = [address.to_string(), count.to_string(), rate.to_string(), size.to_string()];
    let mut client = lab.client("hold", &arguments)?;
    client.expect("ready")?;
    client.go()?;
    Ok(([server, client], address))
}

/// Microseconds of CPU of one bare dump.
fn floor(lab: &Lab, scenario: &Scenario) -> anyhow::Result<f64> {
    let arguments = [scenario.interval.as_micros().to_string(), FLOOR_SECONDS.to_string()];
    let mut process = lab.client("floor", &arguments)?;
    let said = process.expect("floor ")?;
    let (polls, cpu) = said.split_once(' ').context("floor said one number")?;
    Ok(cpu.parse::<f64>()? / polls.parse::<f64>()?)
}

pub(crate) fn start_recorder(lab: &Lab, scenario: &Scenario, output: &Path) -> anyhow::Result<Process> {
    let program = std::path::absolute(&scenario.recorder)?;
    ensure!(program.exists(), "there is no {}: cargo build --release", program.display());
    let interval = humantime::format_duration(scenario.interval).to_string().replace(' ', "");
    let mut arguments = vec![program.display().to_string(), "--".to_owned()];
    arguments.extend(["--output", &output.display().to_string(), "--interval", &interval].map(str::to_owned));
    arguments.extend(scenario.options.iter().cloned());
    lab.client("exec", &arguments)
}

pub(crate) fn directory(scenario: &Scenario) -> anyhow::Result<TempDir> {
    let disk = std::path::absolute(&scenario.disk)?;
    let mut directory = tempfile::Builder::new().prefix("bench-").tempdir_in(&disk)?;
    if scenario.keep {
        directory.disable_cleanup(true);
        eprintln!("archive: {}", directory.path().display());
    }
    Ok(directory)
}

fn record(lab: &Lab, scenario: &Scenario) -> anyhow::Result<Round> {
    let output = directory(scenario)?;
    let recorder = start_recorder(lab, scenario, output.path())?;
    lab.pass(scenario.warm_up)?;
    let (from, before) = (Utc::now(), Usage::of(recorder.pid())?);
    lab.pass(scenario.window)?;
    let (to, after) = (Utc::now(), Usage::of(recorder.pid())?);
    let begin = Instant::now();
    let summary = recorder.terminate()?;
    eprintln!("{:.2} s from SIGTERM to exit: {}", begin.elapsed().as_secs_f64(), summary.trim());
    let archive = Archive::read(output.path(), &(from..to))?;
    let seconds = (to - from).num_milliseconds() as f64 / 1000.0;
    let (user, system) = after.since(&before);
    let polls_per_second = archive.polls_per_second().context("no two polls with records")?;
    Ok(Round {
        polls_per_second,
        user: user / seconds,
        system: system / seconds,
        poll_us: (user + system) / seconds / polls_per_second * 1e6,
        records_per_second: archive.records_in_window as f64 / seconds,
        rss: after.rss,
        bytes_per_record: archive.bytes as f64 / archive.records as f64,
        files: archive.files,
        records: archive.records,
        lost: lost(&summary),
        ..Round::default()
    })
}

/// What the recorder's summary says of losses.
fn lost(summary: &str) -> String {
    summary.trim().rsplit("; ").next().unwrap_or_default().replace("nothing was lost", "0")
}

/// Connections that come and go.
pub(crate) fn churn(scenario: &Scenario) -> anyhow::Result<()> {
    ensure!(scenario.rate > 0.0, "--rate: how many connections a second?");
    let mut lab = Lab::new()?;
    let mut processes = Vec::new();
    let mut arguments = vec![scenario.connections.to_string(), scenario.rate.to_string()];
    for _ in 0..SERVERS_OF_CHURN {
        let (server, address) = lab.server()?;
        processes.push(server);
        arguments.push(address.to_string());
    }
    println!(
        "| scenario | connections | per second | CPU user | CPU system | us a connection | RSS MB | files | records | with true totals | lost |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for round in 1..=scenario.rounds {
        let output = directory(scenario)?;
        let recorder = start_recorder(&lab, scenario, output.path())?;
        let mut client = lab.client("churn", &arguments)?;
        client.expect("ready")?;
        // It listens by then: starting takes some milliseconds.
        lab.pass(Duration::from_secs(1))?;
        let before = Usage::of(recorder.pid())?;
        client.go()?;
        let said = client.expect("done ")?;
        let (made, seconds) = said.split_once(' ').context("done said one number")?;
        let (made, seconds) = (made.parse::<u64>()?, seconds.parse::<f64>()?);
        // The last ones are written by then: their files were closed by their destroy events.
        lab.pass(Duration::from_secs(1))?;
        let after = Usage::of(recorder.pid())?;
        let summary = recorder.terminate()?;
        let now = Utc::now();
        let archive = Archive::read(output.path(), &(now..now))?;
        let (user, system) = after.since(&before);
        println!(
            "| {}, round {round} | {made} | {:.0} | {user:.2} s | {system:.2} s | {:.1} | {:.1} | {} | {} | {} | {} |",
            scenario.name,
            made as f64 / seconds,
            (user + system) / made as f64 * 1e6,
            after.rss as f64 / 1e6,
            archive.files,
            archive.records,
            archive.true_totals,
            lost(&summary),
        );
    }
    Ok(())
}
