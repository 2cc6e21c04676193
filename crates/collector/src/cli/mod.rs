//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::source::Attributes;

/// Records every TCP connection of this host, from first sight to the socket's end.
///
/// Asks the kernel (netlink inet_diag) for every TCP socket many times a second, keeps what changed, and archives each
/// connection as one zstd-compressed JSONL file under OUTPUT/YYYY/MM/DD. Connections too short for any poll are
/// recorded from the kernel's destroy events. Read the files with `csvtool`, or with `zstd -dc`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "tcp-info",
    version,
    after_help = "Examples:
  tcp-info --output /var/spool/tcp-info             record all but local connections, every 10 ms
  tcp-info --output /tmp/tcp --include-local        loopback connections as well
  tcp-info --output /tmp/tcp --interval off         one final record per connection, at almost no cost
  tcp-info --output /tmp/tcp --reps 100             100 polls, then end

SIGTERM, SIGINT and SIGHUP (unless ignored, as by nohup) finish every file and end; a second one exits at once.
No privilege is needed; with CAP_NET_ADMIN also socket marks are recorded, and bursts of ending connections buffered.

Exit codes: 0 ended as asked, 1 could not start, lost records or never saw any, 2 wrong command line, 130 ended at once."
)]
pub struct Cli {
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

    /// Record connections over loopback and link-local addresses, too
    #[arg(long)]
    pub include_local: bool,

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
    /// seen and once a second; or a list of meminfo, info, vegasinfo (BBR and DCTCP, too), cong, tos, tclass, skmeminfo
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
}

impl Cli {
    /// What only several options together tell: whether they make sense.
    pub fn check(&self) -> Result<(), clap::Error> {
        if self.interval == Interval::Off && self.reps > 0 {
            let reason = "--reps counts polls, and --interval off makes none";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, reason));
        }
        Ok(())
    }
}

/// The polling interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// No polls: only destroy events are recorded.
    Off,
    /// From poll to poll.
    Every(Duration),
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Interval::Off => f.write_str("off"),
            Interval::Every(duration) => humantime::format_duration(*duration).fmt(f),
        }
    }
}

/// A share of one core, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuShare(f64);

impl CpuShare {
    /// 0.5 for 50 %.
    pub fn of_one_core(self) -> f64 {
        self.0 / 100.0
    }
}

impl std::fmt::Display for CpuShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

fn parse_share(text: &str) -> Result<CpuShare, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse() {
        Ok(percent) if (1.0..=100.0).contains(&percent) => Ok(CpuShare(percent)),
        _ => Err("must be a share of one core, from 1% to 100%".to_owned()),
    }
}

fn parse_memory(text: &str) -> Result<ByteSize, String> {
    parse_disk(text).and_then(|size| match size {
        size if size >= ByteSize::mib(1) => Ok(size),
        _ => Err("must be 1MiB or more".to_owned()),
    })
}

fn parse_disk(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "must be a number of bytes, or a size such as 256MiB".to_owned())
}

fn parse_interval(text: &str) -> Result<Interval, String> {
    if text == "off" {
        return Ok(Interval::Off);
    }
    parse_duration(text).map(Interval::Every).map_err(|reason| format!("{reason}; or `off`"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(1);
    const MOST: Duration = Duration::from_secs(366 * 24 * 3600);
    match humantime::parse_duration(text) {
        Ok(duration) if (LEAST..=MOST).contains(&duration) => Ok(duration),
        Ok(_) => Err("must be from 1ms to 1year".to_owned()),
        Err(_) => Err("must be a time with its unit, such as 10ms, 1s or 10m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let check = |args: &[&str]| Cli::try_parse_from([&["tcp-info"], args].concat()).expect("parses").check();
        assert!(check(&["--interval", "off", "--reps", "3"]).is_err());
        assert!(check(&["--interval", "off"]).is_ok() && check(&["--reps", "3"]).is_ok());
    }

    #[test]
    fn intervals_are_times_or_off() {
        assert_eq!(parse_interval("off"), Ok(Interval::Off));
        assert_eq!(parse_interval("10ms"), Ok(Interval::Every(Duration::from_millis(10))));
        assert_eq!(Interval::Every(Duration::from_millis(1500)).to_string(), "1s 500ms");
        for bad in ["", "0", "0s", "10", "-1s", "10us", "never", "18446744073709551615s", "2years"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_and_sizes_have_units() {
        assert_eq!(parse_share("50%").map(CpuShare::of_one_core), Ok(0.5));
        assert_eq!(parse_share("100"), Ok(CpuShare(100.0)));
        for bad in ["", "%", "0", "101%", "-5", "NaN", "inf", "half"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_memory("256MiB"), Ok(ByteSize::mib(256)));
        assert_eq!(parse_memory("1048576"), Ok(ByteSize::mib(1)));
        for bad in ["", "1KiB", "-1", "a lot"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
    }
}
