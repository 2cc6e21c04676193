//! Rows as Parquet: typed columns, compressed by zstd, in row groups of bounded size.

use std::io::{self, Write};

use arrow_array::RecordBatch;
use chrono::{Datelike, NaiveDate};
use inetdiag::ArchivalRecord;
use inetdiag::arrow::{self, BatchBuilder};
use inetdiag::columns::{self, Column, Connection, Row};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::convert::{Give, Product};
use crate::output::Sink;
use crate::pipeline::{Stopped, Weigh};

/// Rows of a batch at most: almost a megabyte with all columns.
const BATCH_ROWS: usize = 512;
/// Rows of a row group at most.
const GROUP_ROWS: usize = 128 << 10;
/// Memory of a row group that is being written, after which the next one is begun.
const GROUP_MEMORY: usize = 16 << 20;
/// Most columns hold few different values. A page of each column is in memory, and there are many columns.
const PAGE_LEN: usize = 32 << 10;
/// Rows of a page at most: until it is full, each value takes some twenty bytes.
const PAGE_ROWS: usize = 2048;

/// Some rows; those of one date only, if dates are kept apart.
#[derive(Debug)]
pub struct Batch {
    /// UTC date of their records, `None` if they have no time; the same of all rows if these are not kept apart.
    pub date: Option<NaiveDate>,
    /// The rows.
    pub rows: RecordBatch,
}

impl Weigh for Batch {
    fn weight(&self) -> usize {
        // One alone encodes them: that more of them wait makes nothing faster.
        4 * self.rows.get_array_memory_size()
    }
}

/// Makes batches of records.
#[derive(Debug)]
pub struct BatchRows {
    builder: BatchBuilder,
    by_date: bool,
    date: Option<NaiveDate>,
}

impl BatchRows {
    /// With these columns; batches of one date each, if so asked.
    pub fn new(columns: Vec<Column>, by_date: bool) -> Self {
        Self { builder: BatchBuilder::new(columns), by_date, date: None }
    }
}

impl Product for BatchRows {
    type Made = Batch;
    /// One thread writes: what more than these make only takes memory.
    const MOST_JOBS: usize = 3;

    fn record(
        &mut self,
        record: &mut ArchivalRecord,
        connection: &Connection,
        give: Give<'_, Batch>,
    ) -> Result<bool, Stopped> {
        if record.raw_idm.is_none() {
            return Ok(false);
        }
        if self.by_date {
            let time = record.timestamp;
            let date = Some(time.to_utc().date_naive()).filter(|date| (1..=9999).contains(&date.year()));
            let date = date.filter(|_| !columns::is_zero_time(&time));
            if date != self.date {
                self.finish(give)?;
                self.date = date;
            }
        }
        self.builder.push(&Row::new(record, connection));
        if self.builder.rows() >= BATCH_ROWS { self.finish(give) } else { Ok(()) }.map(|()| true)
    }

    fn finish(&mut self, give: Give<'_, Batch>) -> Result<(), Stopped> {
        if self.builder.rows() == 0 {
            return Ok(());
        }
        give(Batch { date: self.date, rows: self.builder.finish() })
    }
}

/// Writes batches as one Parquet file. Memory is that of one row group, and of what the end of the file tells of all of
/// them.
pub struct ParquetTable<W: Write + Send> {
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> ParquetTable<W> {
    /// Begins the file.
    pub fn new(out: W, columns: &[Column]) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("csvtool ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_page_size_limit(PAGE_LEN)
            .set_data_page_size_limit(PAGE_LEN)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let writer = ArrowWriter::try_new(out, arrow::schema(columns), Some(properties)).map_err(other)?;
        Ok(Self { writer })
    }

    /// Rows of the row group under way.
    pub fn pending(&self) -> usize {
        self.writer.in_progress_rows()
    }

    /// Ends that row group, so that it takes no memory any more.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(other)
    }

    /// Ends the file, and returns where it went to.
    pub fn close(self) -> io::Result<W> {
        self.writer.into_inner().map_err(other)
    }
}

impl<W: Write + Send> Sink<Batch> for ParquetTable<W> {
    fn take(&mut self, batch: Batch) -> io::Result<()> {
        self.writer.write(&batch.rows).map_err(other)?;
        if self.writer.memory_size() > GROUP_MEMORY {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.finish().map(drop).map_err(other)
    }
}

/// What went wrong with the file itself, if that is what it was.
fn other(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}
