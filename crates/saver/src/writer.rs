//! Pending records of one connection, on their way to the disk: as lines, as frames, into its file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use inetdiag::{Metadata, TimestampText, encode_header, encode_record};

use crate::compaction::compact;
use crate::config::{Config, HeaderFacts};
use crate::connection::{Connection, OpenFile, Waiting};
use crate::counters::{Counters, Losses};
use crate::frame::{FRAME_SIZE, FrameEncoder};
use crate::naming::{file_name, uuid};
use crate::pending::Record;
use crate::spool::{DiskError, Spool};

/// Makes lines and frames of pending records and appends them, with the header line in front of a file's first.
pub(crate) struct Writer {
    prefix: String,
    facts: HeaderFacts,
    spool: Arc<Spool>,
    frames: FrameEncoder,
    timestamp: TimestampText,
    /// Lines of the frame that is being made, reused for every connection.
    block: Vec<u8>,
}

/// What was written.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) records: u64,
    /// Bytes before and after compression.
    pub(crate) raw: u64,
    pub(crate) compressed: u64,
    /// Attributes that a line could not hold.
    pub(crate) attributes_dropped: u64,
}

impl Writer {
    pub(crate) fn new(config: &Config, spool: Arc<Spool>) -> io::Result<Self> {
        Ok(Self {
            prefix: config.prefix.clone(),
            facts: config.header.clone(),
            spool,
            frames: FrameEncoder::new(config.level)?,
            timestamp: TimestampText::new(DateTime::UNIX_EPOCH),
            block: Vec::new(),
        })
    }

    pub(crate) fn set_achieved_interval(&mut self, interval: Duration) {
        self.facts.achieved_interval = Some(interval);
    }

    /// Appends what waits to the connection's file, frame by frame. The file's first frame creates it, under the next
    /// free SEQ. After an error `connection` says what is in the file, and the next attempt goes on from there.
    pub(crate) fn write(&mut self, cookie: u64, connection: &mut Connection) -> (Written, Result<(), DiskError>) {
        let mut total = Written::default();
        let (Some(mut waiting), Some(mut file)) = (connection.waiting.take(), connection.file) else {
            return (total, Ok(()));
        };
        let outcome = self.write_frames(cookie, connection, &mut waiting, &mut file, &mut total);
        connection.waiting = Some(waiting);
        connection.file = Some(file);
        (total, outcome)
    }

    /// Gives a connection that has no file yet, and records for one frame, its whole file at once: one frame, straight to its place
    /// in the date tree. `None` if that could not be done: then [`write`](Writer::write) finds a name, or the error.
    pub(crate) fn write_whole(&mut self, cookie: u64, connection: &Connection) -> Option<Written> {
        let (waiting, file) = (connection.waiting.as_ref()?, connection.file?);
        self.block.clear();
        self.write_header(cookie, connection).ok()?;
        let mut written = Written::default();
        waiting.records.each(0, |record| {
            self.encode(&record, &mut written);
            self.block.len() < FRAME_SIZE
        });
        if self.block.len() >= FRAME_SIZE {
            return None;
        }
        let frame = self.frames.encode(&self.block).ok()?;
        (written.raw, written.compressed) = (self.block.len() as u64, frame.len() as u64);
        let name = file_name(&self.prefix, cookie, connection.sequence);
        self.spool.publish_whole(&name, frame, file.day).ok()?.then_some(written)
    }

    fn write_frames(
        &mut self,
        cookie: u64,
        connection: &mut Connection,
        waiting: &mut Waiting,
        file: &mut OpenFile,
        total: &mut Written,
    ) -> Result<(), DiskError> {
        self.block.clear();
        if file.partial.is_none() {
            while self.spool.is_taken(&file_name(&self.prefix, cookie, connection.sequence), file.day) {
                connection.sequence += 1;
            }
            self.write_header(cookie, connection)?;
        }
        let name = file_name(&self.prefix, cookie, connection.sequence);
        let mut outcome = Ok(());
        let mut frame = Written::default();
        let Waiting { records, written, .. } = waiting;
        let skip = *written;
        let mut finish = |this: &mut Self, frame: &mut Written| -> Result<(), DiskError> {
            this.append(&name, file, frame)?;
            *written += frame.records as u32;
            total.add(frame);
            *frame = Written::default();
            this.block.clear();
            Ok(())
        };
        records.each(skip, |record| {
            self.encode(&record, &mut frame);
            if self.block.len() >= FRAME_SIZE {
                outcome = finish(self, &mut frame);
            }
            outcome.is_ok()
        });
        if outcome.is_ok() && frame.records > 0 {
            outcome = finish(self, &mut frame);
        }
        outcome
    }

    /// Writes a file anew, in fewer and larger frames.
    pub(crate) fn compact(&mut self, name: &str, file: &mut OpenFile) -> Result<(), DiskError> {
        compact(&self.spool, name, file, &mut self.frames, &mut self.block)
    }

    /// Appends a record's line to the block.
    fn encode(&mut self, record: &Record<'_>, frame: &mut Written) {
        self.timestamp.set(record.time);
        let dropped = encode_record(&mut self.block, &self.timestamp, record.message, record.origin, record.streams);
        frame.attributes_dropped += dropped as u64;
        frame.records += 1;
    }

    /// Appends the block to the file as one frame.
    fn append(&mut self, name: &str, file: &mut OpenFile, frame: &mut Written) -> Result<(), DiskError> {
        let bytes = self.frames.encode(&self.block).map_err(|source| DiskError {
            operation: "compress",
            path: self.spool.partial_path(name),
            source,
        })?;
        match &mut file.partial {
            Some(partial) => self.spool.append(name, partial, bytes)?,
            None => file.partial = Some(self.spool.create(name, bytes)?),
        }
        frame.raw = self.block.len() as u64;
        frame.compressed = bytes.len() as u64;
        file.raw += frame.raw;
        file.frames += 1;
        Ok(())
    }

    fn write_header(&mut self, cookie: u64, connection: &Connection) -> Result<(), DiskError> {
        let facts = self.facts.clone();
        let metadata = Metadata {
            uuid: uuid(&self.prefix, cookie),
            sequence: connection.sequence.into(),
            start_time: connection.start.fixed_offset(),
            kernel_release: facts.kernel_release,
            boot_id: facts.boot_id,
            interval: facts.interval,
            achieved_interval: facts.achieved_interval.map(rounded),
            asked_attributes: facts.asked_attributes,
            estats: facts.estats,
            version: facts.version,
        };
        encode_header(&mut self.block, &metadata).map_err(|source| DiskError {
            operation: "encode",
            path: file_name(&self.prefix, cookie, connection.sequence).into(),
            source: source.into(),
        })
    }
}

/// In milliseconds, a short one with one digit more: a mean says no more.
fn rounded(interval: Duration) -> String {
    let unit = if interval < Duration::from_millis(100) { 100 } else { 1000 };
    let rounded = interval.as_micros() as u64 / unit * unit;
    humantime::format_duration(Duration::from_micros(rounded)).to_string()
}

impl Written {
    pub(crate) fn count(&self, counters: &Counters, losses: &mut Losses) {
        counters.records_written.inc_by(self.records);
        counters.bytes_raw.inc_by(self.raw);
        counters.bytes_compressed.inc_by(self.compressed);
        counters.attributes_dropped.inc_by(self.attributes_dropped);
        losses.attributes += self.attributes_dropped;
    }

    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.raw += other.raw;
        self.compressed += other.compressed;
        self.attributes_dropped += other.attributes_dropped;
    }
}
