//! The command line.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use inetdiag::TcpState;
use inetdiag::columns::{self, Column};
use ipnet::IpNet;

use crate::convert::Choice;
use crate::formats::text::Dialect;
use crate::select::{Every, Selection, parse_host, parse_state, parse_time};
use crate::summary::columns::Column as SummaryColumn;
use crate::summary::{columns as summary_columns, table};

/// Convert tcp-info archives to tables
///
/// Reads archives that tcp-info wrote, this one or M-Lab's Go original: JSONL, one record of a TCP socket per line, as
/// plain text or compressed with zstd. Which it is, is seen by the first bytes, not by the name.
///
/// `csvtool summary` tells of each connection on one line, and what limited it; all else makes tables of records.
///
/// Writes CSV to standard output: one header, then one row for each record, files in the order given. The first 105
/// columns are those of the Go csvtool; newer facts follow, among them the UUID of the connection, which the archive
/// tells once and the CSV in each row. A fact that the kernel did not send is an empty cell, never 0.
///
/// Memory does not grow with the size of the files.
#[derive(Debug, Parser)]
#[command(version, after_long_help = MORE_HELP, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Options {
    /// Something else than a table of records.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A table of records.
    #[command(flatten)]
    pub table: TableOptions,
}

/// Other things to do with archives.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell of each connection on one line, and what limited it
    Summary(SummaryOptions),
}

/// Options that change what the original would write.
const NOT_OF_THE_ORIGINAL: [&str; 11] =
    ["format", "columns", "partition", "only_final", "every", "uuid", "since", "until", "host", "port", "state"];

/// How records are made a table.
#[derive(Debug, Args)]
pub struct TableOptions {
    /// Write exactly what the Go csvtool writes, flaws included
    ///
    /// Two wrong column names, absent numbers as 0, a row for the header line with a made-up time, byte-swapped
    /// interface numbers: byte for byte, for pipelines that were built around them.
    #[arg(long, conflicts_with_all = NOT_OF_THE_ORIGINAL)]
    pub compat: bool,

    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: Format,

    /// Columns to write, in this order, such as Timestamp,UUID,TCP.RTT; a name that ends in * is all that begin so
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_columns)]
    pub columns: Vec<Columns>,

    /// Write a directory of Parquet files by UTC date, such as date=2026-01-02/part-00000.parquet; -o names the directory
    #[arg(long)]
    pub partition: bool,

    /// Only the last record of each connection, whatever the number of its files
    ///
    /// Files of one connection are known by their names; of members of tar files, and of what is read from standard input, the
    /// last records are held in memory to the end.
    #[arg(long = "final", conflicts_with = "every")]
    pub only_final: bool,

    /// Of each archive only every N-th record, or one each so much time (1s); the first and the last one are kept, and how
    /// many are left out is told
    #[arg(long, value_name = "N|TIME", help_heading = "Records")]
    pub every: Option<Every>,

    /// Which records.
    #[command(flatten)]
    pub select: Select,

    /// Print name, type, unit, first kernel and meaning of all columns, and end
    #[arg(long)]
    pub list_columns: bool,

    /// What is read, and how it is told of.
    #[command(flatten)]
    pub common: Common,
}

/// How connections are summed up.
#[derive(Debug, Args)]
#[command(after_long_help = SUMMARY_HELP)]
pub struct SummaryOptions {
    /// How summaries are written [default: table on a terminal, csv elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<table::Format>,

    /// Sort by this column: numbers from the largest on, names and times from the first; see --list-columns
    #[arg(long, value_name = "COLUMN", value_parser = parse_summary_column)]
    pub sort: Option<SortBy>,

    /// Only the first so many connections
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,

    /// Only the totals of all connections
    #[arg(long, conflicts_with_all = ["sort", "top"])]
    pub totals: bool,

    /// Print name and meaning of all columns, and end
    #[arg(long)]
    pub list_columns: bool,

    /// Which records.
    #[command(flatten)]
    pub select: Select,

    /// What is read, and how it is told of.
    #[command(flatten)]
    pub common: Common,
}

/// A column of a summary.
#[derive(Clone, Copy)]
pub struct SortBy(pub &'static SummaryColumn);

impl std::fmt::Debug for SortBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Commas, and quotes where they are needed; an absent value is an empty cell
    Csv,
    /// Tabs, and no quotes: tab, line end and backslash in a text are \t, \n and \\
    Tsv,
    /// A JSON object a row, with the names of the columns; an absent value has no key
    Jsonl,
    /// Typed columns with their units, for databases and data frames; an absent value is null
    Parquet,
    /// A JSON object an archive: a row of the BigQuery table tcpinfo, with every tenth snapshot and the last
    Bq,
}

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

    /// Stop at the first damage
    #[arg(long)]
    pub strict: bool,

    /// What to read, in this order: archives; directories, whose archives are read by name, which is by date; tar files,
    /// compressed by gzip or not; patterns such as '2026/01/*/*.zst'; "-" or nothing at all is standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
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

    /// Only of connections of which either end has one of these ports
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    port: Vec<u16>,

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
            ports: self.port.clone(),
            states: self.state.clone(),
        }
    }
}

const MORE_HELP: &str = "\
Examples:
  csvtool 2026/01/02/host_1767312000_0000000000062D84.00000.jsonl.zst > connection.csv
  csvtool -o day.csv 2026/01/02
  csvtool -o day.csv 20260102T000000.000000Z-tcpinfo-mlab1-abc01-ndt.tgz
  csvtool --columns Timestamp,UUID,TCP.RTT,TCP.Bytes* --format jsonl 2026/01/02 | jq .
  csvtool --host 198.51.100.7 --since 2026-01-02T12:00 --every 1s 2026/01/02
  csvtool --format parquet --partition -o tcpinfo 2026/01
  csvtool --final --columns UUID,TCP.BytesAcked,TCP.MinRTT 2026/01/02
  csvtool --list-columns | grep rate
  csvtool summary --sort bytes_acked --top 20 2026/01/02
  csvtool --compat old.jsonl.zst | head -1

Damaged files:
  Each whole line before the damage is converted, and what is behind it: a bad line costs only
  itself, a damaged zstd frame only the lines in it.
  Standard error has one message for each damaged file: the line, its byte in the decompressed
  text, and how many more there are; and how many files are damaged at the end.
  When the checksum of a zstd frame does not match, rows written from that frame may be wrong.

Exit codes:
  0  every line was converted, or the reader of the output closed it early
  1  a file was missing, empty, cut or damaged, or the output could not be written;
     what was good is written
  2  the command line was wrong";

impl Options {
    /// The command line; with what is wrong with it the program ends.
    pub fn from_command_line() -> Self {
        let options = Self::parse();
        if let Err((kind, text)) = options.table.check() {
            Self::command().error(kind, text).exit();
        }
        options
    }
}

impl TableOptions {
    /// What does not go together.
    fn check(&self) -> Result<(), (ErrorKind, &'static str)> {
        const CONFLICT: ErrorKind = ErrorKind::ArgumentConflict;
        const MISSING: ErrorKind = ErrorKind::MissingRequiredArgument;
        let is_command = |path: &PathBuf| path.as_os_str() == "summary" && !path.exists();
        if self.common.paths.first().is_some_and(is_command) {
            return Err((
                ErrorKind::UnknownArgument,
                "options go behind the command: csvtool summary [OPTIONS] [PATH]...",
            ));
        }
        let is_fixed = self.format == Format::Bq;
        let has_file = self.common.output.is_some();
        if is_fixed && !self.columns.is_empty() {
            return Err((CONFLICT, "--format bq has columns of its own: leave --columns out"));
        }
        if is_fixed && (self.only_final || self.every.is_some()) {
            return Err((CONFLICT, "--format bq has every tenth snapshot and the last: leave --final and --every out"));
        }
        if self.partition && self.format != Format::Parquet {
            return Err((CONFLICT, "--partition is for --format parquet"));
        }
        if self.partition && !has_file {
            return Err((MISSING, "--partition needs the directory to write: -o DIRECTORY"));
        }
        if self.format == Format::Parquet && !has_file && !self.list_columns && io::stdout().is_terminal() {
            return Err((MISSING, "Parquet is nothing for a terminal: name a file by -o FILE"));
        }
        Ok(())
    }

    /// Whose columns, and which.
    pub fn dialect(&self) -> Dialect {
        if self.compat { Dialect::Original } else { Dialect::Ours }
    }

    /// The columns, in order.
    pub fn columns(&self) -> Vec<Column> {
        match &self.columns[..] {
            [] => self.dialect().columns(),
            chosen => chosen.iter().flatten().copied().collect(),
        }
    }

    /// Which records.
    pub fn choice(&self) -> Choice {
        Choice { selection: self.select.selection(), every: self.every }
    }
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

const SUMMARY_HELP: &str = "\
Examples:
  csvtool summary 2026/01/02
  csvtool summary --sort retrans_share --top 20 --host 198.51.100.0/24 2026/01/02
  csvtool summary --totals 2026/01/*
  csvtool summary --format jsonl -o day.jsonl day.tgz

What limited a connection:
  Its life is divided by what kept it from sending more, as the kernel counts it: the receiver's
  window was full (rwnd_limited), the send buffer was full (sndbuf_limited), the application had
  nothing to send (idle, or delivery that was app-limited), or none of these (unlimited). The
  largest part is the verdict. Of the last one it is 'network' if there was loss, a timeout, an
  ECN mark or a standing queue, and 'nothing' if there was none of it. It is about sending: a
  connection that only receives is limited by its application. Times need Linux 4.10.

Memory:
  --sort without --top holds a line of each connection.";

/// Columns of one name, or of all names that begin alike.
type Columns = Vec<Column>;

fn parse_columns(text: &str) -> Result<Columns, String> {
    let text = text.trim();
    let matches = |name: &str| text.strip_suffix('*').map_or(name == text, |start| name.starts_with(start));
    let found: Columns = columns::all().filter(|column| matches(column.name)).copied().collect();
    if found.is_empty() { Err("there is no such column; see --list-columns".to_owned()) } else { Ok(found) }
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|jobs| (1..=256).contains(jobs)).ok_or_else(|| "must be a number from 1 to 256".to_owned())
}

fn parse_summary_column(text: &str) -> Result<SortBy, String> {
    let found = summary_columns::find(text.trim()).map(SortBy);
    found.ok_or_else(|| "there is no such column; see csvtool summary --list-columns".to_owned())
}
