//! The command line.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use inetdiag::ArchiveReader;

use crate::convert::{Converter, Dialect};
use crate::report::{InputError, Report};

/// Convert tcp-info archives to CSV
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
pub struct Args {
    /// Write exactly what the Go csvtool writes, flaws included
    ///
    /// Two wrong column names, absent numbers as 0, a row for the header line with a made-up time, byte-swapped
    /// interface numbers: byte for byte, for pipelines that were built around them.
    #[arg(long)]
    pub compat: bool,

    /// Archives to read, in this order; "-" or none at all is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

const MORE_HELP: &str = "\
Examples:
  csvtool 2026/01/02/host_1767312000_0000000000062D84.00000.jsonl.zst > connection.csv
  csvtool 2026/01/02/*.jsonl.zst > day.csv
  tar -xOf day.tgz --wildcards '*.jsonl.zst' | csvtool > day.csv
  csvtool --compat old.jsonl.zst | head -1

Damaged files:
  Each whole line before the damage is converted; a bad line in the middle costs only itself.
  Standard error names the file, the line, and its byte in the decompressed text, one message
  per line. After five bad lines of a file the others are counted.
  When the checksum of a zstd frame does not match, rows written from that frame may be wrong.

Exit codes:
  0  every line was converted, or the reader of the output closed it early
  1  a file was missing, empty, cut or damaged, or the output could not be written;
     what was good is on standard output
  2  the command line was wrong";

/// The whole program: arguments and standard streams of the process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if run(&args, io::stdout().lock(), io::stderr()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does what `args` ask for, and returns whether nothing was wrong. A reader that went away is nothing wrong.
pub fn run(args: &Args, stdout: impl Write, stderr: impl Write) -> bool {
    let dialect = if args.compat { Dialect::Original } else { Dialect::Ours };
    let mut converter = Converter::new(stdout, dialect);
    let mut report = Report::new(stderr);
    let standard_input = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &standard_input[..] } else { &args.files };
    let mut converted = files.iter().try_for_each(|path| convert_file(path, &mut converter, &mut report));
    if converted.is_ok() {
        converted = converter.finish().map(drop);
    }
    if let Err(error) = converted
        && error.kind() != ErrorKind::BrokenPipe
    {
        report.output(&error);
    }
    !report.any()
}

/// Converts one file. What is wrong with it is reported; the error is one of the output.
fn convert_file(path: &Path, converter: &mut Converter<impl Write>, report: &mut Report<impl Write>) -> io::Result<()> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".into() } else { path.display().to_string() };
    let opened = if is_stdin { ArchiveReader::sniff(io::stdin()) } else { inetdiag::open(path) };
    match opened {
        Ok(mut archive) => {
            let tally = converter.convert(&mut archive, |fault, so_far| report.fault(&name, fault, so_far))?;
            report.end_of_file(&name, tally);
        }
        Err(error) => report.tell(&name, &InputError::Open(error)),
    }
    Ok(())
}
