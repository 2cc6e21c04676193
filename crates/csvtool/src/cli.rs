//! The command line.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Parser};
use inetdiag::TcpState;
use ipnet::IpNet;

use crate::columns::{self, Column};
use crate::convert::{Dialect, Table};
use crate::inputs::{self, Input, NotFound};
use crate::output::OutputFile;
use crate::pipeline::{self, Emit, Stopped};
use crate::progress::Progress;
use crate::report::Report;
use crate::rows::{Format, type_name};
use crate::select::{Every, Selection, parse_host, parse_state, parse_time};
use crate::work::{Piece, Worker};

/// Convert tcp-info archives to tables
///
/// Reads archives that tcp-info wrote, this one or M-Lab's Go original: JSONL, one record of a TCP socket per line, as
/// plain text or compressed with zstd. Which it is, is seen by the first bytes, not by the name.
///
/// Writes CSV to standard output: one header, then one row for each record, files in the order given. The first 105
/// columns are those of the Go csvtool; newer facts follow, among them the UUID of the connection, which the archive
/// tells once and the CSV in each row. A fact that the kernel did not send is an empty cell, never 0.
///
/// Memory does not grow with the size of the files.
#[derive(Debug, Parser)]
#[command(version, after_long_help = MORE_HELP)]
pub struct Options {
    /// Write exactly what the Go csvtool writes, flaws included
    ///
    /// Two wrong column names, absent numbers as 0, a row for the header line with a made-up time, byte-swapped
    /// interface numbers: byte for byte, for pipelines that were built around them.
    #[arg(long)]
    pub compat: bool,

    /// How rows are written
    #[arg(long, value_name = "FORMAT", default_value = "csv", conflicts_with = "compat")]
    pub format: Format,

    /// Columns to write, in this order, such as Timestamp,UUID,TCP.RTT; a name that ends in * is all that begin so
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "compat", value_parser = parse_columns)]
    pub columns: Vec<Columns>,

    /// Which records
    #[command(flatten)]
    pub select: Select,

    /// Print name, type, unit, first kernel and meaning of all columns, and end
    #[arg(long)]
    pub list_columns: bool,

    /// Write to this file, which is there when it is whole, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Archives to convert at a time; rows are in the order of these all the same [default: one for each CPU]
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
    pub paths: Vec<PathBuf>,
}

/// Options that choose records.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub struct Select {
    /// Only of the connections with these UUIDs
    #[arg(long, value_name = "UUIDS", value_delimiter = ',', conflicts_with = "compat")]
    uuid: Vec<String>,

    /// Only from this time on, such as 2026-01-02 or 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "compat")]
    since: Option<DateTime<Utc>>,

    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "compat")]
    until: Option<DateTime<Utc>>,

    /// Only of connections of which either end is in one of these networks, such as 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = parse_host, conflicts_with = "compat")]
    host: Vec<IpNet>,

    /// Only of connections of which either end has one of these ports
    #[arg(long, value_name = "PORTS", value_delimiter = ',', conflicts_with = "compat")]
    port: Vec<u16>,

    /// Only in these states, such as established,close-wait
    #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = parse_state, conflicts_with = "compat")]
    state: Vec<TcpState>,

    /// Of each archive only every N-th record, or one each so much time (1s); the first and the last one are kept, and how
    /// many are left out is told
    #[arg(long, value_name = "N|TIME", conflicts_with = "compat")]
    every: Option<Every>,
}

impl Select {
    fn selection(&self) -> Selection {
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
  csvtool --list-columns | grep rate
  csvtool --compat old.jsonl.zst | head -1

Damaged files:
  Each whole line before the damage is converted; a bad line in the middle costs only itself.
  Standard error has one message for each damaged file: the line, its byte in the decompressed
  text, and how many more there are; and how many files are damaged at the end.
  When the checksum of a zstd frame does not match, rows written from that frame may be wrong.

Exit codes:
  0  every line was converted, or the reader of the output closed it early
  1  a file was missing, empty, cut or damaged, or the output could not be written;
     what was good is written
  2  the command line was wrong";

/// The whole program: arguments and standard streams of the process.
pub fn main() -> ExitCode {
    let args = Options::parse();
    if run(&args, io::stdout().lock(), io::stderr()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does what `args` ask for, and returns whether nothing was wrong. A reader that went away is nothing wrong.
pub fn run(args: &Options, stdout: impl Write, stderr: impl Write) -> bool {
    let mut report = Report::new(stderr);
    let written = match &args.output {
        _ if args.list_columns => list_columns(stdout).map_err(Stop::Output),
        None => convert_all(args, stdout, &mut report).map(drop),
        Some(path) => write_file(args, path, &mut report),
    };
    match written {
        Err(Stop::Strict) => report.stopped(),
        Err(Stop::Output(error)) if error.kind() != ErrorKind::BrokenPipe => report.output(&error),
        Ok(()) | Err(Stop::Output(_)) => {}
    }
    !report.any()
}

fn write_file(args: &Options, path: &Path, report: &mut Report<impl Write>) -> Result<(), Stop> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = OutputFile::create(path).map_err(named)?;
    let file = convert_all(args, file, report).map_err(|stop| match stop {
        Stop::Output(error) => Stop::Output(named(error)),
        Stop::Strict => Stop::Strict,
    })?;
    Ok(file.keep().map_err(named)?)
}

fn convert_all<W: Write>(args: &Options, mut out: W, report: &mut Report<impl Write>) -> Result<W, Stop> {
    let table = args.table();
    let standard_input = [PathBuf::from("-")];
    let paths = if args.paths.is_empty() { &standard_input[..] } else { &args.paths };
    let find = |give: &dyn Fn(Result<Input, NotFound>) -> Result<(), Stopped>| {
        // It ends early if nobody wants more.
        let _ = inputs::find(paths, give);
    };
    let progress = if args.shows_progress(paths) {
        let paths = paths.to_vec();
        Progress::shown(move |add| inputs::sizes(&paths, add))
    } else {
        Progress::hidden()
    };
    let worker = || {
        let mut worker = Worker::new(table.clone(), &progress);
        move |input, emit: &Emit<Piece>| worker.convert(input, emit)
    };
    let mut header = Some(table.header());
    let outcome = pipeline::run(args.jobs(), find, worker, |piece| {
        match piece {
            Piece::Begin(name) => {
                report.begin(name);
                header.take().map_or(Ok(()), |header| out.write_all(&header))?;
            }
            Piece::Rows(rows) => out.write_all(&rows)?,
            Piece::Fault(fault, so_far) => report.fault(fault, so_far),
            Piece::End(tally) => report.end(tally),
            Piece::Failed(name, error) => report.fail(&name, &error),
        }
        progress.show();
        if args.strict && report.any() { Err(Stop::Strict) } else { Ok(()) }
    });
    progress.end();
    outcome?;
    report.summary();
    out.flush()?;
    Ok(out)
}

/// Why it ends before all is read.
enum Stop {
    Output(io::Error),
    Strict,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Options {
    fn table(&self) -> Table {
        let dialect = if self.compat { Dialect::Original } else { Dialect::Ours };
        let columns = match &self.columns[..] {
            [] => dialect.columns(),
            chosen => chosen.iter().flatten().copied().collect(),
        };
        let (selection, every) = (self.select.selection(), self.select.every);
        Table { dialect, format: self.format, columns, selection, every }
    }

    /// Whether somebody sees it: a terminal that does not show the table itself.
    fn shows_progress(&self, paths: &[PathBuf]) -> bool {
        let is_free = self.output.is_some() || !io::stdout().is_terminal();
        let is_stdin = paths.iter().any(|path| path == Path::new("-"));
        !self.quiet && io::stderr().is_terminal() && is_free && !is_stdin
    }

    fn jobs(&self) -> usize {
        self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

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

fn list_columns(mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{:<28} {:<12} {:<12} {:<6} meaning", "name", "type", "unit", "since")?;
    for column in columns::all() {
        let Column { name, unit, since, meaning, .. } = column;
        writeln!(out, "{name:<28} {:<12} {unit:<12} {since:<6} {meaning}", type_name(column.kind))?;
    }
    out.flush()
}
