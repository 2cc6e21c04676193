//! The options, and where they come from.

mod anonymize;
mod estats;
mod file;
mod filters;
mod load;
mod log;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::{ArgAction, Parser, Subcommand};
use program::values::{parse_bool, parse_duration};

use crate::source::Attributes;
pub use anonymize::AnonymizeArgs;
pub use estats::EstatsArgs;
pub use filters::{Cgroup, FilterArgs};
pub use load::{Refusal, Request, load, load_again};
pub use log::{LogArgs, LogFormat};
pub use values::{CpuShare, ExtendedStatistics, Interval, Listen};
use values::{parse_disk, parse_extended, parse_interval, parse_listen, parse_memory, parse_share};

/// Records every TCP connection of this host, from first sight to the socket's end.
///
/// Asks the kernel (netlink inet_diag) for every TCP socket many times a second, keeps what changed, and archives each
/// connection as one zstd-compressed JSONL file under OUTPUT/YYYY/MM/DD. Connections too short for any poll are
/// recorded from the kernel's destroy events. Read the files with `csvtool`, or with `zstd -dc`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "tcp-info",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  tcp-info --output /var/spool/tcp-info             record all but local connections, every 10 ms
  tcp-info --output /tmp/tcp --include-local        loopback connections as well
  tcp-info --output /tmp/tcp --interval off         one final record per connection, at almost no cost
  tcp-info --output /tmp/tcp --reps 100             100 polls, then end
  tcp-info --metrics-only                           no archive: only metrics, on 127.0.0.1:9991
  tcp-info estats                                   nothing recorded: RFC 4898 statistics, live

SIGTERM and SIGINT finish every file and end; a second one exits at once. SIGHUP reads --config and the environment
again: filters and --log-level count at once. Every option may be given as a variable, too: --exclude-srcport as
EXCLUDE_SRCPORT; and with one dash, as Go programs take them.
No privilege is needed; with CAP_NET_ADMIN also socket marks are recorded, and bursts of ending connections buffered.

Exit codes: 0 ended as asked, 1 could not start, lost records or never saw any, 2 wrong command line, 130 ended at once."
)]
pub struct Cli {
    /// Something else than to record
    #[command(subcommand)]
    command: Option<Command>,

    /// Directory of the archive; created if absent
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,

    /// Directory of files in progress, on the same file system [default: OUTPUT/.spool]
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,

    /// Time from poll to poll, such as 10ms or 1s; `off`: no polls, only the final record of each connection
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_interval)]
    pub interval: Interval,

    /// Polls to make before ending; 0: go on until told to stop
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reps: u64,

    /// File with the prefix of all UUIDs [default: HOSTNAME_BOOTTIME_unsafe, or POD_NAME instead of the host name]
    #[arg(long, value_name = "FILE")]
    pub uuid_prefix_file: Option<PathBuf>,

    /// Age at which a connection's file is finished and its next one begun
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub rotation: Duration,

    /// Receive buffer for destroy events, in bytes of the kernel's accounting: one event takes some 1,300
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    pub destroy_buffer: u32,

    /// Age at which records are written to disk: what a kill -9 may cost
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub flush_age: Duration,

    /// What polls ask the kernel for: `full`; `lean`, which is `info` and `cong`, and everything when a connection is first
    /// seen and once a second; or a list of meminfo, info, vegasinfo (BBR and DCTCP, too), cong, tos, tclass, skmeminfo, shutdown
    #[arg(long, value_name = "LIST", default_value_t = Attributes::FULL)]
    pub attributes: Attributes,

    /// Share of one core that the recorder may take, such as 50%; where it would take more, polls are put further apart.
    /// They get a quarter of that share at least
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = parse_share)]
    pub max_cpu: CpuShare,

    /// Memory for records that wait to be written, such as 256MiB; beyond it the oldest are written at once, or dropped
    /// and counted if the disk refuses
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_memory)]
    pub memory_limit: ByteSize,

    /// Room on disk for finished files, such as 10GiB; beyond it the oldest are deleted [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse_disk)]
    pub max_disk: Option<ByteSize>,

    /// Age at which finished files are deleted, such as 30days [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub retain: Option<Duration>,

    /// Interfaces whose packets are looked at, too, such as eth0, or any for all: what they say of each connection goes into its
    /// archive, once a second and at its end. Takes CAP_NET_RAW
    #[arg(long, value_name = "INTERFACES", value_delimiter = ',')]
    pub streams: Vec<String>,

    /// Extended statistics (RFC 4898) of each connection, kept by BPF programs: `on`; `full`, with what each segment tells, at
    /// more cost. Takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN
    #[arg(long, value_name = "on|off|full", num_args = 0..=1, require_equals = true, default_missing_value = "on", default_value_t = ExtendedStatistics::Off, value_parser = parse_extended)]
    pub estats: ExtendedStatistics,

    /// Unix socket on which programs are told of connections as they come and go, in the Go original's protocol
    #[arg(long = "tcpinfo.eventsocket", alias = "eventsocket", value_name = "PATH")]
    pub eventsocket: Option<PathBuf>,

    /// The same in a protocol of our own: clients say which connections they want, are told of those that are open
    /// already, and of the totals of those that end
    #[arg(long, value_name = "PATH")]
    pub eventsocket_v2: Option<PathBuf>,

    /// Where metrics are served over HTTP (/metrics, /healthz, /readyz), such as :9991 for all addresses of this host;
    /// `off`: nowhere [default: 127.0.0.1:9991, if that is free]
    #[arg(long = "prometheusx.listen-address", aliases = ["prom", "web.listen-address"], value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen_address: Option<Listen>,

    /// TLS, passwords and headers of the metrics: a file in the format of Prometheus' exporter-toolkit
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config: Option<PathBuf>,

    /// Record nothing: only serve metrics, the sockets of this host by state among them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, value_parser = parse_bool, action = ArgAction::Set)]
    pub metrics_only: bool,

    /// File with options: TOML, whose keys are their names. The command line and the environment go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Only check options and files, and say what is wrong
    #[arg(long)]
    pub check_config: bool,

    /// Only print all options as a file for --config, and where each is from
    #[arg(long)]
    pub print_config: bool,

    /// Only print a script for a shell that completes this command
    #[arg(long, value_name = "SHELL")]
    pub completions: Option<clap_complete::Shell>,

    /// Only print the manual page, for man
    #[arg(long)]
    pub man_page: bool,

    /// Which connections
    #[command(flatten)]
    pub filters: FilterArgs,

    /// What becomes of addresses
    #[command(flatten)]
    pub anonymize: AnonymizeArgs,

    /// What is said of it
    #[command(flatten)]
    pub log: LogArgs,
}

/// What the command can do but record.
#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Shows the variables of RFC 4898 (TCP-ESTATS-MIB) of each connection, and of listeners, live; archives nothing
    ///
    /// One look a second at the sockets of this network namespace. What only programs in the kernel can count is counted from the
    /// start on: connections that were open before are marked as partial. A connection that ends is shown once more, with its last
    /// values. What is not known is left out. With --json, a line is a connection or a listener; times that the MIB has in
    /// milliseconds have a fraction.
    #[command(
        // Unlike a recorder, this is to look at whatever there is.
        mut_arg("include_local", |arg| arg.default_value("true").help("Connections over loopback and link-local addresses, too")),
        after_help = "Examples:
  tcp-info estats --include-dstport 443             connections to port 443
  tcp-info estats --full --table path,listener      two of the tables, with what segments tell
  tcp-info estats --json --reps 1 | jq 'select(.Perf)'   one look, for programs

Takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; without them, only what polls tell is shown."
    )]
    Estats(EstatsArgs),
}

impl Cli {
    /// What only several options together tell: whether they make sense.
    fn check(&self) -> Result<(), String> {
        if self.interval == Interval::Off && self.reps > 0 {
            return Err("--reps counts polls, and --interval off makes none".to_owned());
        }
        if self.metrics_only && self.listen_address == Some(Listen::Off) {
            return Err("--metrics-only has nothing to do where metrics are served nowhere".to_owned());
        }
        if self.metrics_only && (self.eventsocket.is_some() || self.eventsocket_v2.is_some()) {
            return Err("--metrics-only knows of no connections to tell of on an event socket".to_owned());
        }
        if self.metrics_only && self.estats != ExtendedStatistics::Off {
            return Err("--metrics-only records nothing that --estats could add to".to_owned());
        }
        if self.metrics_only && !self.streams.is_empty() {
            return Err(
                "--metrics-only records nothing that --streams could add to; see tcp-stream-exporter".to_owned()
            );
        }
        if self.interval == Interval::Off && self.filters.cgroups().next().is_some() {
            return Err(
                "a filter by cgroup needs polls: what --interval off records says nothing of cgroups".to_owned()
            );
        }
        if self.eventsocket.is_some() && self.eventsocket == self.eventsocket_v2 {
            return Err("--tcpinfo.eventsocket and --eventsocket-v2 are two sockets, not one".to_owned());
        }
        self.filters.filter()?;
        self.anonymize.check()
    }

    /// Whether the files and directories that are named can be what they are named for. Opens none that is written.
    fn check_files(&self) -> Result<(), String> {
        self.anonymize.method()?;
        if let Some(path) = &self.uuid_prefix_file {
            saver::prefix_from_file(path).map_err(|error| format!("--uuid-prefix-file: {error}"))?;
        }
        if let Some(path) = &self.web_config {
            web::WebConfig::read(path).map_err(|error| format!("--web.config.file: {error}"))?;
        }
        for directory in std::iter::once(&self.output).chain(&self.spool) {
            if directory.exists() && !directory.is_dir() {
                return Err(format!("{} is no directory", directory.display()));
            }
        }
        [&self.eventsocket, &self.eventsocket_v2].into_iter().flatten().try_for_each(|path| check_socket(path))
    }
}

fn check_socket(path: &Path) -> Result<(), String> {
    if let Err(error) = std::os::unix::net::SocketAddr::from_pathname(path) {
        return Err(format!("{}: {error}", path.display()));
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    match directory {
        Some(directory) if !directory.is_dir() => Err(format!("{} is no directory", directory.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        load::command(&[]).debug_assert();
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let check = |args: &[&str]| Cli::try_parse_from([&["tcp-info"], args].concat()).expect("parses").check();
        assert!(check(&["--interval", "off", "--reps", "3"]).is_err());
        assert!(check(&["--interval", "off"]).is_ok() && check(&["--reps", "3"]).is_ok());
    }
}
