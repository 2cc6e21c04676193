//! Summaries of connections, joined over their files.

use std::io::{self, Write};

use super::Summary;
use super::columns::ALL;
use super::human::PEOPLE;
use super::totals::Totals;
use crate::convert::Name;
use crate::join::{Joiner, Names};
use crate::listing::{Format, Listing, Order};
use crate::output::Sink;

/// Joins what archives tell of connections, and writes a line for each.
pub struct SummaryTable<W> {
    joiner: Joiner<Summary>,
    listing: Listing<Summary, W>,
    only_totals: bool,
    totals: Totals,
}

impl<W: Write> SummaryTable<W> {
    /// Of archives with these names; `only_totals`: of all connections together.
    pub fn new(out: W, names: Names, format: Format, order: Order<Summary>, only_totals: bool) -> io::Result<Self> {
        let mut listing = Listing::new(out, format, ALL, PEOPLE, order);
        if !only_totals {
            listing.header()?;
        }
        Ok(Self { joiner: Joiner::new(names), listing, only_totals, totals: Totals::default() })
    }

    fn add(&mut self, summary: &Summary) -> io::Result<()> {
        self.totals.add(summary);
        if self.only_totals { Ok(()) } else { self.listing.add(summary) }
    }
}

impl<W: Write> Sink<Box<Summary>> for SummaryTable<W> {
    fn take(&mut self, summary: Box<Summary>) -> io::Result<()> {
        self.joiner.take(*summary);
        Ok(())
    }

    fn end(&mut self, archive: &Name) -> io::Result<()> {
        self.joiner.end(archive).iter().try_for_each(|summary| self.add(summary))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.joiner.finish().try_for_each(|summary| self.add(&summary))?;
        self.listing.finish()?;
        if self.only_totals || self.listing.format() == Format::Table {
            self.listing.totals(&self.totals.values(), |out| self.totals.human(out))?;
        }
        self.listing.flush()
    }
}
