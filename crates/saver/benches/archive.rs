//! What a record costs from the batch to the file, and its share of a frame, by size of frame and level. How small frames
//! become is measured on real archives: `bench frames`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use inetdiag::{Message, NetlinkMessages, Origin, TimestampText, encode_record};
use saver::{Config, Counters, HeaderFacts, Record, Saver, Spool};

const RECORDS: usize = 10_000;

/// A transfer as it was captured, again and again.
fn messages() -> Vec<Message<'static>> {
    let capture: &'static [u8] = include_bytes!("../../../testdata/netlink/transfer.bin");
    let sockets = NetlinkMessages::new(capture).filter_map(Result::ok);
    sockets.filter_map(|message| Message::new(message.payload).ok()).collect()
}

fn saver(output: &std::path::Path) -> Saver {
    let config = Config {
        prefix: "host".to_owned(),
        boot_time: DateTime::UNIX_EPOCH,
        rotation: Duration::from_secs(600),
        flush_age: Duration::from_secs(10),
        memory_limit: 256 << 20,
        level: 1,
        header: HeaderFacts::default(),
    };
    let spool = Spool::open(output, &output.join(".spool")).expect("opens");
    Saver::new(config, Arc::new(spool), Counters::default()).expect("the level exists")
}

fn records(c: &mut Criterion) {
    let messages = messages();
    let mut group = c.benchmark_group("saver");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.sample_size(20);
    let directory = || tempfile::tempdir_in("/dev/shm").expect("there is memory");
    let take = |saver: &mut Saver| {
        let (now, time) = (Instant::now(), DateTime::<Utc>::UNIX_EPOCH);
        for (number, message) in messages.iter().cycle().take(RECORDS).enumerate() {
            let time = time + TimeDelta::milliseconds(10 * number as i64);
            saver.record(Record { message: *message, time, origin: Origin::Poll(number as u64), streams: None }, now);
        }
    };
    group.bench_function("take", |b| {
        b.iter_batched_ref(
            || {
                let dir = directory();
                (saver(dir.path()), dir)
            },
            |(saver, _)| take(saver),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("take and write", |b| {
        b.iter_batched_ref(
            || {
                let dir = directory();
                (saver(dir.path()), dir)
            },
            |(saver, _)| {
                take(saver);
                saver.finish_all(Instant::now(), || true);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut lines = Vec::new();
    let mut time = DateTime::<Utc>::UNIX_EPOCH;
    let mut timestamp = TimestampText::new(time);
    for (number, message) in messages().iter().cycle().take(RECORDS).enumerate() {
        time += TimeDelta::milliseconds(10);
        timestamp.set(time);
        encode_record(&mut lines, &timestamp, *message, Origin::Poll(number as u64), None);
    }
    let mut group = c.benchmark_group("frames");
    group.throughput(Throughput::Bytes(lines.len() as u64));
    group.sample_size(20);
    for level in [1, 3] {
        for kib in [64, 256] {
            let mut compressor = zstd::bulk::Compressor::new(level).expect("the level exists");
            let mut compress = || -> usize {
                let frames = lines.chunks(kib << 10).map(|block| compressor.compress(block).expect("compresses").len());
                frames.sum()
            };
            group.bench_function(format!("level {level}, {kib} KiB"), |b| b.iter(&mut compress));
        }
    }
    group.finish();
}

criterion_group!(benches, records, frames);
criterion_main!(benches);
