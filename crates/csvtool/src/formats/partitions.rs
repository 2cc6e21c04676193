//! A directory of Parquet files, one or more for each date, named as data warehouses expect it:
//! `date=2026-01-02/part-00000.parquet`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use chrono::NaiveDate;
use inetdiag::columns::Column;

use super::parquet::{Batch, ParquetTable};
use crate::output::Sink;

/// What Hive calls the partition of rows that have no value to be partitioned by.
const NO_DATE: &str = "__HIVE_DEFAULT_PARTITION__";
/// Files that are written at a time. Archives are mostly in the order of dates; where they are not, many are of few rows.
const MAX_OPEN: usize = 64;
/// Rows that may be in row groups under way, in all of them.
const PENDING: usize = 8192;

/// Writes batches as files by date.
pub struct Partitions {
    directory: PathBuf,
    columns: Vec<Column>,
    /// The one used last is the last one.
    open: Vec<(Option<NaiveDate>, ParquetTable<File>)>,
    parts: HashMap<Option<NaiveDate>, u32>,
}

impl Partitions {
    /// Writes below that directory.
    pub fn new(directory: PathBuf, columns: Vec<Column>) -> Self {
        Self { directory, columns, open: Vec::new(), parts: HashMap::new() }
    }

    /// Begins the next file of that date.
    fn create(&mut self, date: Option<NaiveDate>) -> io::Result<ParquetTable<File>> {
        if self.open.len() == MAX_OPEN {
            self.open.remove(0).1.close()?;
        }
        let part = self.parts.entry(date).or_default();
        let name = date.map_or_else(|| NO_DATE.to_owned(), |date| date.to_string());
        let directory = self.directory.join(format!("date={name}"));
        fs::create_dir_all(&directory)?;
        let file = File::create_new(directory.join(format!("part-{part:05}.parquet")))?;
        *part += 1;
        ParquetTable::new(file, &self.columns)
    }
}

impl Sink<Batch> for Partitions {
    fn take(&mut self, batch: Batch) -> io::Result<()> {
        let date = batch.date;
        let mut table = match self.open.iter().position(|(open, _)| *open == date) {
            Some(at) => self.open.remove(at).1,
            None => self.create(date)?,
        };
        table.take(batch)?;
        self.open.push((date, table));
        let pending: usize = self.open.iter().map(|(_, table)| table.pending()).sum();
        if let [others @ .., (_, current)] = &mut self.open[..]
            && pending - current.pending() > PENDING
            && let Some((_, table)) = others.iter_mut().max_by_key(|(_, table)| table.pending())
        {
            table.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        for (_, table) in self.open.drain(..) {
            table.close()?.sync_all()?;
        }
        Ok(())
    }
}
