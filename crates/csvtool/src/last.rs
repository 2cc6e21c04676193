//! `--final`: of each connection its last record alone, whatever the number of its files.

use std::io;

use inetdiag::ArchivalRecord;
use inetdiag::columns::Connection;

use crate::convert::{Give, Name, Product};
use crate::join::{Joiner, Names, Part};
use crate::output::Sink;
use crate::pipeline::{Stopped, Weigh};

/// The last record of a connection in one archive.
#[derive(Debug)]
pub struct Last {
    record: ArchivalRecord,
    connection: Connection,
}

impl Part for Last {
    fn uuid(&self) -> Option<&str> {
        self.connection.uuid()
    }

    fn sequence(&self) -> i64 {
        self.connection.metadata().map_or(0, |metadata| metadata.sequence)
    }

    fn join(&mut self, later: Self) {
        *self = later;
    }

    fn is_more_than(&self, other: &Self) -> bool {
        self.record.timestamp > other.record.timestamp
    }
}

impl Weigh for Box<Last> {
    fn weight(&self) -> usize {
        // With the attributes of most.
        size_of::<Last>() + 1024
    }
}

/// Finds the last record of each connection.
#[derive(Debug, Default)]
pub struct LastRecords {
    last: Option<Last>,
}

impl LastRecords {
    fn hand_on(&mut self, give: Give<'_, Box<Last>>) -> Result<(), Stopped> {
        self.last.take().map_or(Ok(()), |last| give(Box::new(last)))
    }
}

impl Product for LastRecords {
    type Made = Box<Last>;

    fn record(
        &mut self,
        record: &mut ArchivalRecord,
        connection: &Connection,
        give: Give<'_, Box<Last>>,
    ) -> Result<bool, Stopped> {
        if record.raw_idm.is_none() {
            return Ok(false);
        }
        match &mut self.last {
            Some(last) if is_same(last, record, connection) => std::mem::swap(record, &mut last.record),
            _ => {
                self.hand_on(give)?;
                self.last = Some(Last { record: std::mem::take(record), connection: connection.clone() });
            }
        }
        Ok(true)
    }

    fn end(&mut self, _archive: &Name, _text: u64, give: Give<'_, Box<Last>>) -> Result<(), Stopped> {
        self.hand_on(give)
    }
}

/// Whether a record is of the connection of the one before it.
fn is_same(last: &Last, record: &ArchivalRecord, connection: &Connection) -> bool {
    let cookie = |record: &ArchivalRecord| record.raw_idm.map(|idm| idm.id.cookie());
    last.connection.metadata() == connection.metadata() && cookie(&last.record) == cookie(record)
}

/// Makes rows of what the files of a connection tell together, and hands them on.
pub struct LastTable<P: Product, S> {
    joiner: Joiner<Last>,
    rows: P,
    table: S,
}

impl<P: Product, S: Sink<P::Made>> LastTable<P, S> {
    /// Makes `rows` of connections whose files have these names, and writes them to `table`.
    pub fn new(names: Names, rows: P, table: S) -> Self {
        Self { joiner: Joiner::new(names), rows, table }
    }

    fn write(&mut self, lasts: impl IntoIterator<Item = Last>) -> io::Result<()> {
        for mut last in lasts {
            self.hand_on(|rows, give| rows.record(&mut last.record, &last.connection, give).map(drop))?;
        }
        Ok(())
    }

    fn hand_on(&mut self, make: impl FnOnce(&mut P, Give<'_, P::Made>) -> Result<(), Stopped>) -> io::Result<()> {
        let mut outcome = Ok(());
        let table = &mut self.table;
        let made = make(&mut self.rows, &mut |made| {
            outcome = table.take(made);
            if outcome.is_ok() { Ok(()) } else { Err(Stopped) }
        });
        debug_assert!(made.is_ok() || outcome.is_err());
        outcome
    }
}

impl<P: Product, S: Sink<P::Made>> Sink<Box<Last>> for LastTable<P, S> {
    fn begin(&mut self) -> io::Result<()> {
        self.table.begin()
    }

    fn take(&mut self, last: Box<Last>) -> io::Result<()> {
        self.joiner.take(*last);
        Ok(())
    }

    fn end(&mut self, archive: &Name) -> io::Result<()> {
        let whole = self.joiner.end(archive);
        self.write(whole)
    }

    fn finish(&mut self) -> io::Result<()> {
        let left = self.joiner.finish();
        self.write(left)?;
        self.hand_on(|rows, give| rows.finish(give))?;
        self.table.finish()
    }
}
