//! Records as tables.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use inetdiag::columns::{self, Column, Kind};

use super::common::{Common, Select};
use super::drive::{Stop, convert, named, write_to};
use crate::convert::Choice;
use crate::formats::bq::BqRows;
use crate::formats::parquet::{Batch, BatchRows, ParquetTable};
use crate::formats::partitions::Partitions;
use crate::formats::text::{Dialect, Syntax, TextRows};
use crate::join::Names;
use crate::last::{LastRecords, LastTable};
use crate::output::{Sink, TextTable};
use crate::report::Report;
use crate::select::Every;
use crate::temporary::Temporary;

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

    /// Columns to write, in this order, such as Timestamp,UUID,TCP.RTT; a name that ends in * is all that begin so.
    /// Those of extended statistics, estats.*, are there only for who names them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_columns)]
    pub columns: Vec<Columns>,

    /// Write a directory of Parquet files by UTC date, such as date=2026-01-02/part-00000.parquet; -o names the directory
    #[arg(long)]
    pub partition: bool,

    /// Only the last record of each connection, whatever the number of its files
    ///
    /// Files of one connection are known by their names; of what is read from standard input the last records are held in
    /// memory to the end.
    #[arg(long = "final", conflicts_with = "every")]
    pub only_final: bool,

    /// Of each archive only every N-th record, or one each so much time (1s); the first and the last one are kept, and how
    /// many are left out is told
    #[arg(long, value_name = "N|TIME", help_heading = "Records")]
    pub every: Option<Every>,

    /// Print name, type, unit, first kernel and meaning of all columns, and end
    #[arg(long)]
    pub list_columns: bool,

    /// What is read, and how it is told of.
    #[command(flatten)]
    pub common: Common,

    /// Which records.
    #[command(flatten)]
    pub select: Select,
}

/// Options that change what the original would write.
const NOT_OF_THE_ORIGINAL: [&str; 11] =
    ["format", "columns", "partition", "only_final", "every", "uuid", "since", "until", "host", "port", "state"];

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

impl TableOptions {
    /// What does not go together.
    pub(super) fn check(&self) -> Result<(), (ErrorKind, &'static str)> {
        const CONFLICT: ErrorKind = ErrorKind::ArgumentConflict;
        const MISSING: ErrorKind = ErrorKind::MissingRequiredArgument;
        let paths = self.common.paths();
        let first = paths.first().filter(|path| !path.exists()).and_then(|path| path.to_str());
        if let Some(name @ ("summary" | "streams")) = first {
            let usage = match name {
                "summary" => "options go behind the command: csvtool summary [OPTIONS] [PATH]...",
                _ => "options go behind the command: csvtool streams [OPTIONS] [FILE]...",
            };
            return Err((ErrorKind::UnknownArgument, usage));
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
            // A name that comes twice, as among those of a pattern, is one column.
            chosen => {
                let mut names = HashSet::new();
                chosen.iter().flatten().filter(|column| names.insert(column.name)).copied().collect()
            }
        }
    }

    /// Which records.
    pub fn choice(&self) -> Choice {
        Choice { selection: self.select.selection(), every: self.every }
    }
}

/// Columns of one name, or of all names that begin alike.
type Columns = Vec<Column>;

/// All columns there are: those that a table has unless others are named, and those of extended statistics.
fn known_columns() -> impl Iterator<Item = &'static Column> {
    columns::all().chain(estats::columns())
}

fn parse_columns(text: &str) -> Result<Columns, String> {
    let text = text.trim();
    let matches = |name: &str| text.strip_suffix('*').map_or(name == text, |start| name.starts_with(start));
    let found: Columns = known_columns().filter(|column| matches(column.name)).copied().collect();
    if found.is_empty() { Err("there is no such column; see --list-columns".to_owned()) } else { Ok(found) }
}

pub(super) fn run<E: Write>(
    args: &TableOptions,
    stdout: impl Write + Send,
    report: &mut Report<E>,
) -> Result<(), Stop> {
    let path = args.common.output.as_deref();
    if args.list_columns {
        return write_to(path, stdout, |out| Ok(list_columns(out)?));
    }
    match (args.format, path) {
        (Format::Csv, _) => write_to(path, stdout, |out| text(args, Syntax::Csv, out, report)),
        (Format::Tsv, _) => write_to(path, stdout, |out| text(args, Syntax::Tsv, out, report)),
        (Format::Jsonl, _) => write_to(path, stdout, |out| text(args, Syntax::Jsonl, out, report)),
        (Format::Bq, _) => write_to(path, stdout, |out| {
            convert(&args.common, &args.choice(), BqRows::new, TextTable::new(out, Vec::new()), report)
        }),
        (Format::Parquet, Some(path)) if args.partition => partitions(args, path, report),
        (Format::Parquet, _) => write_to(path, stdout, |out| {
            let table = ParquetTable::new(out, &args.columns())?;
            batches(args, table, report)
        }),
    }
}

fn text(args: &TableOptions, syntax: Syntax, out: impl Write, report: &mut Report<impl Write>) -> Result<(), Stop> {
    let rows = TextRows::new(syntax, args.dialect(), args.columns());
    let table = TextTable::new(out, rows.header());
    if args.only_final {
        let table = LastTable::new(Names::of(&args.common.paths()), rows, table);
        return convert(&args.common, &args.choice(), LastRecords::default, table, report);
    }
    convert(&args.common, &args.choice(), || rows.clone(), table, report)
}

fn batches(args: &TableOptions, table: impl Sink<Batch>, report: &mut Report<impl Write>) -> Result<(), Stop> {
    let rows = || BatchRows::new(args.columns(), args.partition);
    if args.only_final {
        let table = LastTable::new(Names::of(&args.common.paths()), rows(), table);
        return convert(&args.common, &args.choice(), LastRecords::default, table, report);
    }
    convert(&args.common, &args.choice(), rows, table, report)
}

fn partitions(args: &TableOptions, path: &Path, report: &mut Report<impl Write>) -> Result<(), Stop> {
    named(path, || {
        let temporary = Temporary::directory(path)?;
        batches(args, Partitions::new(temporary.place().to_owned(), args.columns()), report)?;
        Ok(temporary.keep()?)
    })
}

fn list_columns(mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{:<36} {:<12} {:<12} {:<6} meaning", "name", "type", "unit", "since")?;
    for column in known_columns() {
        let Column { name, unit, since, meaning, .. } = column;
        writeln!(out, "{name:<36} {:<12} {unit:<12} {since:<6} {meaning}", type_name(column.kind))?;
    }
    out.flush()
}

/// What a column of this kind has in it, in a word.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Uint => "unsigned",
        Kind::Int => "integer",
        Kind::Flag => "flag",
        Kind::Hex => "hexadecimal",
        Kind::Time => "time",
        Kind::Address => "address",
        Kind::Text => "text",
    }
}
