//! `csvtool summary`.

use std::io::Write;

use clap::Args;

use super::common::{Common, Select, format_for};
use super::drive::{Stop, convert, write_to};
use crate::convert::Choice;
use crate::join::Names;
use crate::listing::{Column, Format, Order, find, list_columns};
use crate::report::Report;
use crate::summary::columns::ALL;
use crate::summary::table::SummaryTable;
use crate::summary::{Summaries, Summary};

/// How connections are summed up.
#[derive(Debug, Args)]
#[command(after_long_help = SUMMARY_HELP)]
pub struct SummaryOptions {
    /// How summaries are written [default: table on a terminal, csv elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Sort by this column: numbers from the largest on, names and times from the first; see --list-columns
    #[arg(long, value_name = "COLUMN", value_parser = parse_summary_column)]
    pub sort: Option<&'static Column<Summary>>,

    /// Only the first so many connections
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,

    /// Only the totals of all connections
    #[arg(long, conflicts_with_all = ["sort", "top"])]
    pub totals: bool,

    /// Print name and meaning of all columns, and end
    #[arg(long)]
    pub list_columns: bool,

    /// What is read, and how it is told of.
    #[command(flatten)]
    pub common: Common,

    /// Which records.
    #[command(flatten)]
    pub select: Select,
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

fn parse_summary_column(text: &str) -> Result<&'static Column<Summary>, String> {
    find(ALL, text).ok_or_else(|| "there is no such column; see csvtool summary --list-columns".to_owned())
}

pub(super) fn run<E: Write>(
    args: &SummaryOptions,
    stdout: impl Write + Send,
    report: &mut Report<E>,
) -> Result<(), Stop> {
    let path = args.common.output.as_deref();
    write_to(path, stdout, |out| {
        if args.list_columns {
            return Ok(list_columns(ALL, out)?);
        }
        let format = args.format.unwrap_or_else(|| format_for(path));
        let order = Order { by: args.sort, top: args.top };
        let table = SummaryTable::new(out, Names::of(&args.common.paths()), format, order, args.totals)?;
        let choice = Choice { selection: args.select.selection(), every: None };
        convert(&args.common, &choice, Summaries::default, table, report)
    })
}
