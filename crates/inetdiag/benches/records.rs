//! What one record costs to look at, to write as a line, and to read again. Input is a captured transfer.

use std::hint::black_box;

use chrono::{DateTime, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inetdiag::{
    ArchivalRecord, ArchiveReader, Message, NetlinkMessages, Origin, Snapshot, TimestampText, encode_record,
};

const CAPTURE: &[u8] = include_bytes!("../../../testdata/netlink/transfer.bin");

fn messages(buffer: &[u8]) -> Vec<Message<'_>> {
    let sockets = NetlinkMessages::new(buffer).map_while(Result::ok);
    sockets.filter_map(|message| Message::new(message.payload).ok()).collect()
}

fn walk(c: &mut Criterion) {
    let mut group = c.benchmark_group("walk");
    group.throughput(Throughput::Elements(messages(CAPTURE).len() as u64));
    group.bench_function("messages", |b| b.iter(|| messages(black_box(CAPTURE)).len()));
    let attributes = |buffer| messages(buffer).iter().flat_map(Message::attributes).filter(Result::is_ok).count();
    group.bench_function("messages and attributes", |b| b.iter(|| attributes(black_box(CAPTURE))));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let sockets = messages(CAPTURE);
    let timestamp = TimestampText::new(DateTime::<Utc>::UNIX_EPOCH);
    let mut lines = Vec::new();
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(sockets.len() as u64));
    group.bench_function("line of JSON and base64", |b| {
        b.iter(|| {
            lines.clear();
            for socket in black_box(&sockets) {
                encode_record(&mut lines, &timestamp, *socket, Origin::Poll(12345), None);
            }
            lines.len()
        });
    });
    group.finish();
}

fn read(c: &mut Criterion) {
    let timestamp = TimestampText::new(DateTime::<Utc>::UNIX_EPOCH);
    let mut lines = Vec::new();
    for socket in messages(CAPTURE).iter().cycle().take(1000) {
        encode_record(&mut lines, &timestamp, *socket, Origin::Poll(12345), None);
    }
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Bytes(lines.len() as u64));
    let count = |decode: fn(&ArchivalRecord) -> bool| {
        let mut reader = ArchiveReader::new(&lines[..]);
        let mut record = ArchivalRecord::default();
        let mut records = 0;
        while let Some(Ok(())) = reader.read(&mut record) {
            records += u32::from(decode(&record));
        }
        records
    };
    group.bench_function("lines", |b| b.iter(|| count(|record| record.raw_idm.is_some())));
    group.bench_function("lines, decoded", |b| b.iter(|| count(|record| Snapshot::decode(record).tcp_info.is_some())));
    group.finish();
}

criterion_group!(benches, walk, encode, read);
criterion_main!(benches);
