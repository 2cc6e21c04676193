//! Sockets made of nothing, time made up, and archives read back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use inetdiag::{ArchivalRecord, Message, Metadata, Origin, attribute};
use saver::{Config, Counters, HeaderFacts, OpenError, Record, Recovery, Saver, Spool};

pub(crate) mod mount;

pub(crate) const PREFIX: &str = "host-1_1767000000_unsafe";
/// `idiag_wqueue` carries the serial number of a record.
const SERIAL_OFFSET: usize = 60;
const COOKIE_OFFSET: usize = 44;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A socket message as the kernel sends it. `serial` tells it from all others.
#[derive(Clone)]
pub(crate) struct Socket(Vec<u8>);

impl Socket {
    /// Without any attribute.
    pub(crate) fn bare(cookie: u64, serial: u32) -> Self {
        let mut bytes = vec![0; 72];
        (bytes[0], bytes[1]) = (2, 1);
        bytes[COOKIE_OFFSET..COOKIE_OFFSET + 4].copy_from_slice(&(cookie as u32).to_ne_bytes());
        bytes[COOKIE_OFFSET + 4..COOKIE_OFFSET + 8].copy_from_slice(&((cookie >> 32) as u32).to_ne_bytes());
        bytes[SERIAL_OFFSET..SERIAL_OFFSET + 4].copy_from_slice(&serial.to_ne_bytes());
        Self(bytes)
    }

    /// With `tcp_info` of 280 bytes, in which little repeats.
    pub(crate) fn full(cookie: u64, serial: u32) -> Self {
        let mut noise = u64::from(serial) << 32 | cookie;
        let info: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 56) as u8
        })
        .take(280)
        .collect();
        Self::bare(cookie, serial).with(attribute::INET_DIAG_INFO, &info)
    }

    pub(crate) fn with(mut self, kind: u16, payload: &[u8]) -> Self {
        self.0.extend_from_slice(&(4 + payload.len() as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message::new(&self.0).expect("long enough")
    }
}

pub(crate) fn serial(record: &ArchivalRecord) -> u32 {
    record.raw_idm.expect("a record").idiag_wqueue.get()
}

pub(crate) fn has_tcp_info(record: &ArchivalRecord) -> bool {
    record.attributes.get(attribute::INET_DIAG_INFO).is_some()
}

pub(crate) fn config() -> Config {
    Config {
        prefix: PREFIX.to_owned(),
        boot_time: "2026-03-01T00:00:00Z".parse().expect("a time"),
        rotation: seconds(600),
        flush_age: seconds(10),
        memory_limit: 16 << 20,
        level: 1,
        header: HeaderFacts::default(),
    }
}

/// A saver with its directories and a clock that only the test moves.
pub(crate) struct Recorder {
    pub(crate) saver: Saver,
    pub(crate) counters: Counters,
    pub(crate) output: PathBuf,
    pub(crate) now: Instant,
    pub(crate) time: DateTime<Utc>,
}

impl Recorder {
    pub(crate) fn new(output: &Path) -> Self {
        Self::with(output, config())
    }

    pub(crate) fn with(output: &Path, config: Config) -> Self {
        Self::on(output, open_spool(output), config)
    }

    pub(crate) fn on(output: &Path, spool: Spool, config: Config) -> Self {
        let counters = Counters::default();
        Self {
            saver: Saver::new(config, Arc::new(spool), counters.clone()).expect("the level exists"),
            counters,
            output: output.to_owned(),
            now: Instant::now(),
            time: "2026-03-09T12:00:00Z".parse().expect("a time"),
        }
    }

    pub(crate) fn record(&mut self, socket: &Socket) {
        self.saver.record(
            Record { message: socket.message(), time: self.time, origin: Origin::Poll(1), streams: None },
            self.now,
        );
        self.tick();
    }

    pub(crate) fn full(&mut self, cookie: u64, serial: u32) {
        self.record(&Socket::full(cookie, serial));
    }

    pub(crate) fn close(&mut self, cookie: u64) {
        self.saver.close(cookie);
        self.tick();
    }

    /// Lets time pass, without a tick.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.time += TimeDelta::from_std(duration).expect("short");
    }

    pub(crate) fn tick(&mut self) {
        assert!(self.saver.tick(self.now, || true), "nobody said to stop");
    }

    pub(crate) fn finish_all(&mut self) {
        self.saver.finish_all(self.now, || true);
        self.saver.give_up();
    }

    pub(crate) fn lost(&self) -> u64 {
        Counters::sum(&self.counters.records_lost)
    }

    pub(crate) fn errors(&self, operation: &str) -> u64 {
        self.counters.errors.with_label_values(&[operation]).get()
    }

    /// Finished files, relative to the output directory.
    pub(crate) fn files(&self) -> Vec<String> {
        files(&self.output)
    }

    /// Files in progress.
    pub(crate) fn partials(&self) -> Vec<PathBuf> {
        partials(&self.output)
    }

    pub(crate) fn archive(&self, file: &str) -> Archive {
        Archive::read(&self.output.join(file))
    }

    /// Serial numbers of all finished records of a connection, in the order of its files.
    pub(crate) fn serials(&self, cookie: u64) -> Vec<u32> {
        let uuid = format!("{PREFIX}_{cookie:016X}.");
        let files = self.files().into_iter().filter(|file| file.contains(&uuid));
        files.flat_map(|file| self.archive(&file).serials()).collect()
    }
}

/// Takes the spool again and again while it is in use: a child that another test is about to start holds, until it
/// becomes another program, a copy of every lock.
pub(crate) fn open_spool(output: &Path) -> Spool {
    let patience = Instant::now() + seconds(10);
    loop {
        match Spool::open(output, &output.join(".spool")) {
            Err(OpenError::InUse { .. }) if Instant::now() < patience => std::thread::yield_now(),
            outcome => return outcome.expect("opens"),
        }
    }
}

/// Path of a file of the made-up day.
pub(crate) fn path(cookie: u64, sequence: u32) -> String {
    path_on("2026/03/09", cookie, sequence)
}

pub(crate) fn path_on(day: &str, cookie: u64, sequence: u32) -> String {
    format!("{day}/{PREFIX}_{cookie:016X}.{sequence:05}.jsonl.zst")
}

pub(crate) fn files(output: &Path) -> Vec<String> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if entry.ends_with(".spool") {
            } else if entry.is_dir() {
                walk(&entry, found);
            } else {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    walk(output, &mut found);
    let relative = |path: PathBuf| path.strip_prefix(output).expect("is below").to_str().expect("UTF-8").to_owned();
    let mut files: Vec<String> = found.into_iter().map(relative).collect();
    files.sort();
    files
}

pub(crate) fn partials(output: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(output.join(".spool")).expect("a directory");
    let mut partials: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    partials.retain(|path| path.extension().is_some_and(|extension| extension == "partial"));
    partials.sort();
    partials
}

/// A file, read back.
pub(crate) struct Archive {
    pub(crate) metadata: Metadata,
    pub(crate) records: Vec<ArchivalRecord>,
}

impl Archive {
    /// Panics unless the file is one header line and well-formed records.
    pub(crate) fn read(path: &Path) -> Self {
        let mut lines = inetdiag::open(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .map(|line| line.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        let metadata = lines.next().expect("a header line").metadata.expect("the first line is the header");
        let records: Vec<_> = lines.collect();
        assert!(records.iter().all(|record| record.metadata.is_none()), "{}: a second header", path.display());
        Self { metadata, records }
    }

    pub(crate) fn serials(&self) -> Vec<u32> {
        self.records.iter().map(serial).collect()
    }
}

/// Lengths of the frames of a file. Panics unless each declares no size, has a checksum and ends on a line.
pub(crate) fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut rest = bytes;
    let mut lengths = Vec::new();
    while !rest.is_empty() {
        let len = zstd::zstd_safe::find_frame_compressed_size(rest).expect("a whole frame");
        let (frame, behind) = rest.split_at(len);
        let descriptor = frame[4];
        assert_eq!(descriptor >> 6, 0, "no content size field");
        assert_eq!(descriptor & 0b100_000, 0, "not a single segment, which declares a size");
        assert_eq!(descriptor & 0b100, 0b100, "a checksum");
        assert_eq!(descriptor & 0b11, 0, "no dictionary");
        assert!(zstd::decode_all(frame).expect("decodes").ends_with(b"\n"));
        lengths.push(len);
        rest = behind;
    }
    lengths
}

/// Has the reference implementation test files. Skips with a word where it is not installed.
pub(crate) fn assert_zstd_accepts(output: &Path, files: &[String]) {
    for some in files.chunks(500) {
        match Command::new("zstd").arg("-tq").args(some).current_dir(output).output() {
            Err(error) => return skipped(format_args!("no zstd command ({error})")),
            Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr)),
        }
    }
}

/// Recovery whose counters nobody looks at.
pub(crate) fn recover(spool: &Spool) -> Recovery {
    saver::recover(spool, &Counters::default(), || true)
}

/// Says why a test is skipped, past the capture of what passing tests print.
pub(crate) fn skipped(reason: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
