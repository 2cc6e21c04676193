//! The command.

mod common;
mod drive;
mod streams;
mod summary;
mod table;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use common::{Common, Select};
use drive::Stop;
pub use streams::StreamsOptions;
pub use summary::SummaryOptions;
pub use table::{Format, TableOptions};

use crate::report::Report;

/// Convert tcp-info archives to tables
///
/// Reads archives that tcp-info wrote, this one or M-Lab's Go original: JSONL, one record of a TCP socket per line, as
/// plain text or compressed with zstd. Which it is, is seen by the first bytes, not by the name.
///
/// `csvtool summary` tells of each connection on one line, and what limited it; `csvtool streams` tells of each TCP stream
/// in capture files; all else makes tables of records.
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

/// Other things to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell of each connection on one line, and what limited it
    Summary(SummaryOptions),
    /// Tell of each TCP stream in capture files (pcap, pcapng) on one line: rates, losses, delays, windows
    Streams(StreamsOptions),
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
  csvtool streams --sort retransmits --top 20 capture.pcapng
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

/// The whole program: arguments and standard streams of the process.
pub fn main() -> ExitCode {
    let args = Options::from_command_line();
    if run(&args, io::stdout(), io::stderr()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same with arguments in a list, the first of which is the name of the program.
pub fn parse<T: Into<std::ffi::OsString> + Clone>(args: impl IntoIterator<Item = T>) -> Options {
    Options::parse_from(args)
}

/// Does what `args` ask for, and returns whether nothing was wrong. A reader that went away is nothing wrong.
pub fn run(args: &Options, stdout: impl Write + Send, stderr: impl Write) -> bool {
    let mut report = Report::new(stderr);
    let outcome = match &args.command {
        Some(Command::Summary(args)) => summary::run(args, stdout, &mut report),
        Some(Command::Streams(args)) => streams::run(args, stdout, &mut report),
        None => table::run(&args.table, stdout, &mut report),
    };
    match outcome {
        Err(Stop::Strict) => report.stopped(),
        Err(Stop::Output(error)) if error.kind() != ErrorKind::BrokenPipe => report.output(&error),
        Ok(()) | Err(Stop::Output(_)) => {}
    }
    !report.any()
}
