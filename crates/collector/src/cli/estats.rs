//! Options of `tcp-info estats`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use estats::Table;
use program::values::parse_duration;

use super::{FilterArgs, LogArgs};

/// What `tcp-info estats` shows, and how.
#[derive(Debug, Clone, Args)]
pub struct EstatsArgs {
    /// A JSON object a line, and not tables for people
    #[arg(long)]
    pub json: bool,

    /// Look at each segment, too: more variables, at more cost
    #[arg(long)]
    pub full: bool,

    /// Tables that are shown [default: all]
    #[arg(long, value_name = "TABLES", value_delimiter = ',')]
    table: Vec<TableName>,

    /// Time from look to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,

    /// Looks to take before ending; 0: go on until told to stop
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reps: u64,

    /// Which connections
    #[command(flatten)]
    pub filters: FilterArgs,

    /// What is said of it
    #[command(flatten)]
    pub log: LogArgs,
}

impl EstatsArgs {
    /// What only several options together tell: whether they make sense.
    pub(super) fn check(&self) -> Result<(), String> {
        self.filters.filter().map(drop)
    }

    /// The tables that are asked for.
    pub fn tables(&self) -> Vec<Table> {
        TableName::value_variants()
            .iter()
            .filter(|name| self.table.is_empty() || self.table.contains(name))
            .map(|name| match name {
                TableName::Perf => Table::Perf,
                TableName::Path => Table::Path,
                TableName::Stack => Table::Stack,
                TableName::App => Table::App,
                TableName::Listener => Table::Listener,
            })
            .collect()
    }
}

/// Tables of the MIB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableName {
    /// Performance of a connection
    Perf,
    /// What its path is like
    Path,
    /// What TCP does
    Stack,
    /// What the application does
    App,
    /// Listeners
    Listener,
}
