//! One archive after the other, record by record.

use std::fmt;
use std::io::BufRead;

use inetdiag::columns::Connection;
use inetdiag::{ArchivalRecord, ArchiveReader, ReadError};

use crate::pipeline::Stopped;
use crate::select::{Every, Selection, Thinning};

/// Where an archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// The tar file that it is a member of.
    pub tar: Option<String>,
    /// Its path: in the tar file, or of the file itself.
    pub path: String,
}

impl Name {
    /// Of a file.
    pub fn file(path: impl Into<String>) -> Self {
        Self { tar: None, path: path.into() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tar {
            Some(tar) => write!(f, "{tar}: {}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// What was found in one archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good lines, the header line included.
    pub lines: u64,
    /// Rows made, or records that are in some.
    pub rows: u64,
    /// Records left out to thin them.
    pub thinned: u64,
    /// Lines that could not be read.
    pub faults: u64,
}

/// Takes what is made. The error says that nobody wants more.
pub type Give<'a, M> = &'a mut dyn FnMut(M) -> Result<(), Stopped>;

/// What records become: rows of text, batches, one row for all of them.
pub trait Product {
    /// What is handed on, piece by piece.
    type Made;

    /// Takes a record, and says whether it is in what is made of the archive. It may keep what is in `record`.
    fn record(
        &mut self,
        record: &mut ArchivalRecord,
        connection: &Connection,
        give: Give<'_, Self::Made>,
    ) -> Result<bool, Stopped>;

    /// No more archives than these are worth being read at a time.
    const MOST_JOBS: usize = usize::MAX;

    /// The archive of this name has ended, and has this much text: what is made of it alone is handed on.
    fn end(&mut self, _archive: &Name, _text: u64, _give: Give<'_, Self::Made>) -> Result<(), Stopped> {
        Ok(())
    }

    /// Hands on rows that are whole, of this archive and of those before it, as far as any are held.
    fn finish(&mut self, _give: Give<'_, Self::Made>) -> Result<(), Stopped> {
        Ok(())
    }

    /// The attributes that it looks at; `None`: all.
    fn attributes(&self) -> Option<&'static [u16]> {
        None
    }
}

/// Which records are looked at.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What is asked of them.
    pub selection: Selection,
    /// How many of those are left out.
    pub every: Option<Every>,
}

/// Makes something of archives. Memory does not grow with their length.
#[derive(Debug)]
pub struct Converter<P> {
    product: P,
    selection: Selection,
    thinning: Thinning,
    record: ArchivalRecord,
    /// The last record that was left out to thin them, if none came after it: the last one of a connection is kept.
    left_out: ArchivalRecord,
    has_left_out: bool,
}

impl<P: Product> Converter<P> {
    /// Makes this of all records.
    pub fn new(product: P) -> Self {
        Self::of(product, Choice::default())
    }

    /// Makes this of some records.
    pub fn of(product: P, choice: Choice) -> Self {
        let Choice { selection, every } = choice;
        let [record, left_out] = [(); 2].map(|()| ArchivalRecord::default());
        Self { product, selection, thinning: Thinning::new(every), record, left_out, has_left_out: false }
    }

    /// Reads an archive of that name.
    ///
    /// What cannot be read goes to `on_fault`, with what there was until then, and reading goes on as far as it can.
    pub fn convert<R: BufRead>(
        &mut self,
        name: &Name,
        archive: &mut ArchiveReader<R>,
        mut on_fault: impl FnMut(ReadError, Tally),
        give: Give<'_, P::Made>,
    ) -> Result<Tally, Stopped> {
        let mut connection = Connection::default();
        let mut tally = Tally::default();
        while let Some(outcome) = archive.read(&mut self.record) {
            if let Err(fault) = outcome {
                tally.faults += 1;
                if tally.faults == 1 {
                    // Whoever stops there wants what was before it.
                    self.product.finish(give)?;
                }
                on_fault(fault, tally);
                continue;
            }
            tally.lines += 1;
            if let Some(metadata) = self.record.metadata.take() {
                self.end_connection(&connection, &mut tally, give)?;
                connection = metadata.into();
            }
            if let Some(idm) = &self.record.raw_idm {
                connection.expect(idm.id.cookie());
            }
            self.record(&connection, &mut tally, give)?;
        }
        self.end_connection(&connection, &mut tally, give)?;
        self.product.end(name, archive.offset(), give)?;
        Ok(tally)
    }

    /// Hands on rows that are held.
    pub fn finish(&mut self, give: Give<'_, P::Made>) -> Result<(), Stopped> {
        self.product.finish(give)
    }

    /// What is made.
    pub fn product(&self) -> &P {
        &self.product
    }

    /// Makes something of the record, if it is wanted.
    fn record(&mut self, connection: &Connection, tally: &mut Tally, give: Give<'_, P::Made>) -> Result<(), Stopped> {
        if !self.selection.accepts(&self.record, connection.uuid()) {
            return Ok(());
        }
        if self.record.raw_idm.is_some() && !self.thinning.keeps(self.record.timestamp.to_utc()) {
            tally.thinned += 1;
            std::mem::swap(&mut self.record, &mut self.left_out);
            self.has_left_out = true;
            return Ok(());
        }
        self.has_left_out = false;
        tally.rows += u64::from(self.product.record(&mut self.record, connection, give)?);
        Ok(())
    }

    /// Its last record is kept.
    fn end_connection(
        &mut self,
        connection: &Connection,
        tally: &mut Tally,
        give: Give<'_, P::Made>,
    ) -> Result<(), Stopped> {
        self.thinning.restart();
        if std::mem::take(&mut self.has_left_out) {
            tally.thinned -= 1;
            tally.rows += u64::from(self.product.record(&mut self.left_out, connection, give)?);
        }
        Ok(())
    }
}
