//! `csvtool summary`.

use std::io::{self, IsTerminal, Write};

use super::{Stop, SummaryOptions, convert, write_to};
use crate::convert::Choice;
use crate::join::Names;
use crate::report::Report;
use crate::summary::Summaries;
use crate::summary::columns::ALL;
use crate::summary::table::{Format, Order, SummaryTable};

pub(super) fn run<E: Write>(
    args: &SummaryOptions,
    stdout: impl Write + Send,
    report: &mut Report<E>,
) -> Result<(), Stop> {
    let path = args.common.output.as_deref();
    write_to(path, stdout, |out| {
        if args.list_columns {
            return Ok(list_columns(out)?);
        }
        let is_seen = path.is_none() && io::stdout().is_terminal();
        let format = args.format.unwrap_or(if is_seen { Format::Table } else { Format::Csv });
        let order = Order { by: args.sort.map(|column| column.0), top: args.top };
        let table = SummaryTable::new(out, Names::of(&args.common.paths()), format, order, args.totals)?;
        let choice = Choice { selection: args.select.selection(), every: None };
        convert(&args.common, &choice, Summaries::default, table, report)
    })
}

fn list_columns(mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{:<24} meaning", "name")?;
    ALL.iter().try_for_each(|column| writeln!(out, "{:<24} {}", column.name, column.meaning))?;
    out.flush()
}
