//! `csvtool streams`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use ipnet::IpNet;
use program::ports::Ports;
use streams::analysis::Report as Stream;

use super::common::format_for;
use super::drive::{Stop, refuse_input, write_to};
use crate::capture::columns::ALL;
use crate::capture::faults::{self, Fault};
use crate::capture::human::PEOPLE;
use crate::capture::totals::Totals;
use crate::capture::{Capture, input};
use crate::listing::{Column, Format, Listing, Order, find, list_columns};
use crate::report::Report;
use crate::select::{Selection, parse_host};

/// How streams are told of.
#[derive(Debug, Args)]
#[command(after_long_help = STREAMS_HELP)]
pub struct StreamsOptions {
    /// How streams are written [default: table on a terminal, csv elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Sort by this column: numbers from the largest on, names and times from the first; see --list-columns [default: by
    /// the time of the first packet]
    #[arg(long, value_name = "COLUMN", value_parser = parse_stream_column)]
    pub sort: Option<&'static Column<Stream>>,

    /// Only the first so many streams
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,

    /// Only the totals of all streams
    #[arg(long, conflicts_with_all = ["sort", "top"])]
    pub totals: bool,

    /// Print name and meaning of all columns, and end
    #[arg(long)]
    pub list_columns: bool,

    /// Write to this file, which is there when it is whole, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Only streams of which either end is in one of these networks, such as 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = parse_host)]
    pub host: Vec<IpNet>,

    /// Only streams of which either end has one of these ports, such as 443,8000-8999
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub port: Vec<Ports>,

    /// Capture files, pcap or pcapng, compressed by gzip or zstd or not: read in this order as one capture, so that name
    /// those of a rotated one from the oldest on; "-" or nothing at all is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub paths: Vec<PathBuf>,
}

const STREAMS_HELP: &str = "\
Examples:
  csvtool streams capture.pcapng
  csvtool streams --sort retransmits --top 20 --port 443 capture.pcap.gz
  csvtool streams -o day.csv day.pcap0 day.pcap1 day.pcap2
  ssh host tcpdump -s 128 -w - -c 100000 tcp | csvtool streams --format table

How to capture:
  All that is needed is in the headers: a snap length of 128 bytes is enough (tcpdump -s 128).
  Capture both directions, and the handshake: without the one there are no delays, without the
  other windows are not known. Link layers that are read: Ethernet with VLAN tags, Linux
  cooked (tcpdump -i any), raw IP, BSD loopback.

What is told:
  A stream is one direction of a connection: what its source has sent. Its delays are from data to
  the ACK that covers it, so they are round trips where the sender is captured, and how fast the
  receiver answers where that is. What is not known is an empty cell, and never 0.

Memory:
  It grows with the number of connections, about two kilobytes for each, and not with packets.

Exit codes:
  0  every packet was read, or the reader of the output closed it early
  1  a file was missing, empty, cut, damaged, without TCP, or had packets that cannot be read;
     what was good is written
  2  the command line was wrong";

fn parse_stream_column(text: &str) -> Result<&'static Column<Stream>, String> {
    find(ALL, text).ok_or_else(|| "there is no such column; see csvtool streams --list-columns".to_owned())
}

pub(super) fn run<E: Write>(args: &StreamsOptions, stdout: impl Write, report: &mut Report<E>) -> Result<(), Stop> {
    let path = args.output.as_deref();
    write_to(path, stdout, |out| {
        if args.list_columns {
            return Ok(list_columns(ALL, out)?);
        }
        refuse_input(path, &args.paths, "is one of the captures to read")?;
        let mut capture = Capture::default();
        args.paths.iter().for_each(|path| read(&mut capture, path, report));
        write(args, capture, BufWriter::new(out))
    })
}

/// Reads a file, and tells what is wrong with it, on one line.
fn read<E: Write>(capture: &mut Capture, path: &Path, report: &mut Report<E>) {
    let name = input::name(path);
    let faults = match input::open(path) {
        Ok(Some(input)) => {
            let tally = capture.read(input);
            if tally.segments > 0 && tally.frames.malformed > 0 {
                report.note(&name, &format_args!("{} malformed packets are left out", tally.frames.malformed));
            }
            faults::of(tally)
        }
        Ok(None) => vec![Fault::Empty],
        Err(error) => vec![Fault::Open(error)],
    };
    if !faults.is_empty() {
        let all: Vec<_> = faults.iter().map(Fault::to_string).collect();
        report.fail(&name, &all.join("; "));
    }
}

fn write(args: &StreamsOptions, capture: Capture, out: impl Write) -> Result<(), Stop> {
    let selection =
        Selection { hosts: args.host.clone(), ports: args.port.iter().cloned().collect(), ..Selection::default() };
    let is_wanted = |stream: &Stream| {
        let ends = [stream.flow.source, stream.flow.destination];
        selection.accepts_ends(ends.map(|end| end.ip()), ends.map(|end| end.port))
    };
    let order = Order { by: args.sort, top: args.top };
    let mut listing =
        Listing::new(out, args.format.unwrap_or_else(|| format_for(args.output.as_deref())), ALL, PEOPLE, order);
    let mut totals = Totals::default();
    if !args.totals {
        listing.header()?;
    }
    for stream in capture.streams().iter().filter(|stream| is_wanted(stream)) {
        totals.add(stream);
        if !args.totals {
            listing.add(stream)?;
        }
    }
    listing.finish()?;
    if args.totals || listing.format() == Format::Table {
        listing.totals(&totals.values(), |out| totals.human(out))?;
    }
    Ok(listing.flush()?)
}
