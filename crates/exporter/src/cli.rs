//! The options: those of the Go original, and a few of our own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, ValueEnum};
use program::argv::Line;
use program::errors::one_line;
use program::values::{parse_bool, parse_duration};
use streams::capture::RingOptions;
use streams::live::{self, By, Choice};
use streams::table::Limits;
use web::{Address, WebConfig};

/// The name that means all interfaces.
const ANY: &str = "any";
/// For which an empty value is the usual one.
const MAY_BE_EMPTY: [&str; 1] = ["packet-filter"];
/// Streams of a connection.
const DIRECTIONS: usize = 2;

/// Tells Prometheus what packets say of TCP streams.
///
/// Captures the TCP packets of network interfaces, follows each stream (one direction of a connection, IPv4 or IPv6), and
/// serves what it counts and measures at http://ADDRESS/metrics: bytes, retransmissions, gaps, delays, windows, rates.
#[derive(Debug, Clone, Parser)]
#[command(
    name = crate::NAME,
    version,
    after_help = "Examples:
  tcp-stream-exporter -interface eth0                       metrics on http://localhost:9100/metrics
  tcp-stream-exporter -interface eth0,eth1 -port 127.0.0.1:9100
  tcp-stream-exporter -interface any -packet-filter 'tcp and port 443'
  tcp-stream-exporter --max-exported-streams 100 --export-by retransmits
                                                            the 100 streams that retransmit most; totals count all
  tcp-stream-exporter -numblocks 512                        128 MiB for packets, where capture_dropped_packets_total grows
  tcp-stream-exporter --web.config.file web.yml             TLS and passwords, as in all of Prometheus

Options may have one dash or two, and their values follow them or an equals sign, as in Go programs. Times are such as
5m, 1m30s or 100ms. SIGTERM and SIGINT end it. It needs CAP_NET_RAW, and no other privilege.
What each metric means is told by its # HELP line in /metrics, and in docs/streams.md.

Exit codes: 0 ended as asked, 1 could not start or go on, 2 wrong command line."
)]
pub struct Cli {
    /// Where to capture: interfaces, by commas or one by one; `any`: all of them
    #[arg(long, value_name = "NAME", default_value = "eth0", value_delimiter = ',')]
    pub interface: Vec<String>,

    /// Where metrics are served: a port of all addresses of this host, or an address and a port
    #[arg(long, value_name = "ADDRESS", default_value = ":9100", value_parser = |text: &str| text.parse::<Address>())]
    pub port: Address,

    /// Which packets, in the language of tcpdump (pcap-filter(7)); all but `tcp` needs libpcap
    #[arg(long, value_name = "FILTER", default_value = "tcp")]
    pub packet_filter: String,

    /// How long a stream is kept that no packets come of
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    pub stream_age: Duration,

    /// The same after the connection has ended, by FIN of both sides or by RST
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    pub finalized_age: Duration,

    /// Bytes of a frame of the packet ring
    #[arg(long, value_name = "BYTES", default_value_t = 2048)]
    pub framesize: u32,

    /// Bytes of a block of the packet ring
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10)]
    pub blocksize: u32,

    /// Blocks of the packet ring; those of all interfaces and threads together
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub numblocks: u32,

    /// Log more
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = parse_bool, action = ArgAction::Set)]
    pub debug: bool,

    /// Of the original, and of no use here: this is no Go program
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = parse_bool, action = ArgAction::Set)]
    pub go_metrics: bool,

    /// Tell of this process, too: process_*
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = parse_bool, action = ArgAction::Set)]
    pub process_metrics: bool,

    /// Threads that share the packets, by connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub capture_threads: u32,

    /// Streams of which /metrics tells each by itself; totals count all
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub max_exported_streams: u32,

    /// Which ones, if there are more: those with the most payload, the most retransmissions, or the latest packets
    #[arg(long, value_name = "WHAT", default_value = "bytes")]
    pub export_by: ExportBy,

    /// Streams that are followed at a time; packets of more are counted, and no more is known of them
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(2..=100_000_000))]
    pub max_streams: u32,

    /// TLS, passwords and headers of the metrics: a file in the format of Prometheus' exporter-toolkit
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config: Option<PathBuf>,
}

/// By what streams are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportBy {
    /// Payload
    Bytes,
    /// Retransmissions
    Retransmits,
    /// Time of the last packet
    Recency,
}

/// What is asked for.
#[derive(Debug)]
pub enum Request {
    /// To export.
    Export(Box<Cli>),
    /// To print this, and no more.
    Print(String),
}

/// Why nothing is done: one line that says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// Reads what is asked for. `args` begins with the name of the program.
pub fn load(args: impl IntoIterator<Item = OsString>) -> Result<Request, Refusal> {
    // Where an option is repeated, the last counts, as in Go; lists grow.
    let mut command = Cli::command().args_override_self(true);
    // With --help and --version, which may have one dash, too.
    command.build();
    // Of an option that is given as empty, the usual value counts, and there is no other place that it could be from.
    let Line { args, .. } = Line::new(&command, &MAY_BE_EMPTY, args);
    let matches = match command.try_get_matches_from(args) {
        Err(error) if !error.use_stderr() => return Ok(Request::Print(error.to_string())),
        outcome => outcome.map_err(|error| Refusal(one_line(&error)))?,
    };
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| Refusal(one_line(&error)))?;
    cli.check().map_err(Refusal)?;
    Ok(Request::Export(Box::new(cli)))
}

impl Cli {
    fn check(&mut self) -> Result<(), String> {
        let mut named: Vec<String> = Vec::new();
        for name in self.interface.iter().map(|name| name.trim()) {
            if name.is_empty() {
                return Err("--interface names no interface".to_owned());
            }
            if !named.iter().any(|other| other == name) {
                named.push(name.to_owned());
            }
        }
        if named.len() > 1 && named.iter().any(|name| name == ANY) {
            return Err("--interface any is all interfaces: packets of others beside it would count twice".to_owned());
        }
        self.interface = named;
        self.ring().check().map_err(|error| format!("--framesize, --blocksize, --numblocks: {error}"))?;
        if let Some(path) = &self.web_config {
            WebConfig::read(path).map_err(|error| format!("--web.config.file: {error}"))?;
        }
        Ok(())
    }

    fn ring(&self) -> RingOptions {
        RingOptions {
            block_size: self.blocksize,
            blocks: self.numblocks,
            frame_size: self.framesize,
            ..live::Options::default().ring
        }
    }

    /// What is captured.
    pub fn capture(&self) -> live::Options {
        live::Options {
            interfaces: self.interface.clone(),
            filter: self.packet_filter.clone(),
            ring: self.ring(),
            threads: self.capture_threads as usize,
            limits: Limits {
                connections: self.max_streams as usize / DIRECTIONS,
                stream_age: self.stream_age,
                finalized_age: self.finalized_age,
            },
        }
    }

    /// Which streams are told of.
    pub fn choice(&self) -> Choice {
        let by = match self.export_by {
            ExportBy::Bytes => By::Bytes,
            ExportBy::Retransmits => By::Retransmits,
            ExportBy::Recency => By::Recency,
        };
        Choice { most: self.max_exported_streams as usize, by }
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
