//! Records as tables.

use std::io::{self, Write};
use std::path::Path;

use inetdiag::columns::{self, Column, Kind};

use super::{Format, Stop, TableOptions, convert, named, write_to};
use crate::formats::bq::BqRows;
use crate::formats::parquet::{BatchRows, ParquetTable};
use crate::formats::partitions::Partitions;
use crate::formats::text::{Syntax, TextRows};
use crate::join::Names;
use crate::last::{LastRecords, LastTable};
use crate::output::{Temporary, TextTable};
use crate::report::Report;

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

fn batches(
    args: &TableOptions,
    table: impl crate::output::Sink<crate::formats::parquet::Batch>,
    report: &mut Report<impl Write>,
) -> Result<(), Stop> {
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
    writeln!(out, "{:<28} {:<12} {:<12} {:<6} meaning", "name", "type", "unit", "since")?;
    for column in columns::all() {
        let Column { name, unit, since, meaning, .. } = column;
        writeln!(out, "{name:<28} {:<12} {unit:<12} {since:<6} {meaning}", type_name(column.kind))?;
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
