//! All streams together.

use std::io::{self, Write};

use chrono::SecondsFormat;
use streams::analysis::{Report, Totals as Counters};

use super::columns::{time, utc};
use super::human::with_share;
use crate::listing::{Cell, human};

/// Sums over streams.
#[derive(Debug, Default)]
pub struct Totals {
    streams: u64,
    /// Times of the first and of the last packet, in nanoseconds since 1970.
    since: Option<u64>,
    until: Option<u64>,
    counters: Counters,
}

impl Totals {
    /// Adds a stream.
    pub fn add(&mut self, stream: &Report) {
        self.streams += 1;
        self.since = self.since.into_iter().chain([stream.first]).min();
        self.until = self.until.max(Some(stream.last));
        self.counters.add_stream(&stream.counters);
    }

    /// By name.
    pub fn values(&self) -> Vec<(&'static str, Option<Cell>)> {
        let mut values = vec![
            ("streams", Some(Cell::Count(self.streams))),
            ("since", self.since.map(time)),
            ("until", self.until.map(time)),
        ];
        values.extend(self.counters.iter().map(|(name, count)| (name, Some(Cell::Count(count)))));
        values
    }

    /// In a few lines for people.
    pub fn human(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { streams, counters, .. } = self;
        let Some((since, until)) = self.since.zip(self.until) else { return writeln!(out, "no streams") };
        let [from, to] = [since, until].map(|time| utc(time).to_rfc3339_opts(SecondsFormat::Secs, true));
        let took = human::seconds((utc(until) - utc(since)).as_seconds_f64());
        let (packets, bytes) = (counters.packets, human::bytes(counters.bytes));
        writeln!(out, "\nstreams: {streams} from {from} to {to} ({took}), {packets} packets, {bytes}")?;
        writeln!(
            out,
            "{} retransmitted, {} of them in vain; {} out of order, {} gaps, {} duplicate ACKs, {} zero windows",
            with_share(counters.retransmits, packets),
            counters.spurious_retransmits,
            counters.out_of_order,
            counters.gaps,
            counters.duplicate_acks,
            counters.zero_window_events,
        )
    }
}
