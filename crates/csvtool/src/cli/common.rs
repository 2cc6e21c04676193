//! Options that all commands have: what is read, which records, how it is told of.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use inetdiag::TcpState;
use ipnet::IpNet;
use program::ports::Ports;

use crate::listing::Format;
use crate::select::{Selection, parse_host, parse_state, parse_time};

/// What all commands have.
#[derive(Debug, Args)]
pub struct Common {
    /// Write to this file, which is there when it is whole, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Archives to read at a time; rows are in the order of these all the same [default: one for each CPU]
    #[arg(short, long, value_name = "N", value_parser = parse_jobs)]
    pub jobs: Option<usize>,

    /// Show no progress on a terminal
    #[arg(short, long)]
    pub quiet: bool,

    /// Stop at the first damage; a file is not made then
    #[arg(long)]
    pub strict: bool,

    /// What to read, in this order: archives; directories, whose archives are read by name, which is by date; tar files,
    /// compressed by gzip or not; patterns such as '2026/01/*/*.zst'; "-" or nothing at all is standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Common {
    /// What to read.
    pub fn paths(&self) -> Vec<PathBuf> {
        if self.paths.is_empty() { vec![PathBuf::from("-")] } else { self.paths.clone() }
    }

    /// Whether somebody sees the progress: a terminal that does not show the table itself.
    pub fn shows_progress(&self) -> bool {
        let is_free = self.output.is_some() || !io::stdout().is_terminal();
        let is_stdin = self.paths().iter().any(|path| path == Path::new("-"));
        !self.quiet && io::stderr().is_terminal() && is_free && !is_stdin
    }

    /// Archives at a time.
    pub fn jobs(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Options that choose records.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct Select {
    /// Only of the connections with these UUIDs
    #[arg(long, value_name = "UUIDS", value_delimiter = ',')]
    uuid: Vec<String>,

    /// Only from this time on, such as 2026-01-02 or 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<DateTime<Utc>>,

    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<DateTime<Utc>>,

    /// Only of connections of which either end is in one of these networks, such as 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = parse_host)]
    host: Vec<IpNet>,

    /// Only of connections of which either end has one of these ports, such as 443,8000-8999
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    port: Vec<Ports>,

    /// Only in these states, such as established,close-wait
    #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = parse_state)]
    state: Vec<TcpState>,
}

impl Select {
    /// What is asked of records.
    pub fn selection(&self) -> Selection {
        Selection {
            uuids: self.uuid.clone(),
            since: self.since,
            until: self.until,
            hosts: self.host.clone(),
            ports: self.port.iter().cloned().collect(),
            states: self.state.clone(),
        }
    }
}

/// How lines are written if that is not said: for people where they see it, as CSV elsewhere.
pub(super) fn format_for(output: Option<&Path>) -> Format {
    if output.is_none() && io::stdout().is_terminal() { Format::Table } else { Format::Csv }
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|jobs| (1..=256).contains(jobs)).ok_or_else(|| "must be a number from 1 to 256".to_owned())
}
