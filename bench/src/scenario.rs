//! What is to be measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// One line of the table.
#[derive(Debug, Clone, Args)]
pub(crate) struct Scenario {
    /// Connections held open, or in all to come and go
    #[arg(long, default_value_t = 10_000)]
    pub connections: usize,

    /// Connections more, which say nothing, and which the recorder is told to leave out
    #[arg(long, default_value_t = 0)]
    pub excluded: usize,

    /// Connections that have ended by then, and are in TIME_WAIT (`scrape`)
    #[arg(long, default_value_t = 20_000)]
    pub time_wait: usize,

    /// Messages per second on each connection, or new connections per second
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,

    /// Bytes of a message
    #[arg(long, default_value_t = 100)]
    pub size: usize,

    /// The recorder's polling interval
    #[arg(long, default_value = "10ms", value_parser = humantime::parse_duration)]
    pub interval: Duration,

    /// Time that is measured, in each round
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    pub window: Duration,

    /// Time before that: the first frames are written after ten seconds
    #[arg(long, default_value = "12s", value_parser = humantime::parse_duration)]
    pub warm_up: Duration,

    /// Rounds, each of the floor, the recorder and the floor again
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,

    /// The recorder
    #[arg(long, default_value = "target/release/tcp-info")]
    pub recorder: PathBuf,

    /// Where archives go; a directory in it is made and removed
    #[arg(long, default_value = "target")]
    pub disk: PathBuf,

    /// Leave the archives there
    #[arg(long)]
    pub keep: bool,

    /// Name in the table
    #[arg(long, default_value = "-")]
    pub name: String,

    /// More options of the recorder
    #[arg(last = true)]
    pub options: Vec<String>,
}
