//! What an archive costs as CSV, from decompressed lines to cells.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use csvtool::convert::{Converter, Name};
use csvtool::formats::text::{Dialect, TextRows};
use csvtool::pipeline::Stopped;
use inetdiag::{ArchiveReader, Message, NetlinkMessages, Origin, TimestampText, encode_record};

fn lines() -> Vec<u8> {
    let capture = include_bytes!("../../../testdata/netlink/transfer.bin");
    let timestamp = TimestampText::new(DateTime::<Utc>::UNIX_EPOCH);
    let mut lines = Vec::new();
    let sockets: Vec<_> = NetlinkMessages::new(capture).filter_map(Result::ok).collect();
    for socket in sockets.iter().cycle().take(1000) {
        if let Ok(message) = Message::new(socket.payload) {
            encode_record(&mut lines, &timestamp, message, Origin::Poll(12345), None);
        }
    }
    lines
}

fn convert(c: &mut Criterion) {
    let lines = lines();
    let mut group = c.benchmark_group("csv");
    group.throughput(Throughput::Bytes(lines.len() as u64));
    for (name, dialect) in [("all columns", Dialect::Ours), ("compat", Dialect::Original)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut converter = Converter::new(TextRows::csv(dialect));
                let give = &mut |rows: Vec<u8>| io::sink().write_all(&rows).map_err(|_| Stopped);
                let mut archive = ArchiveReader::new(&lines[..]);
                converter
                    .convert(&Name::file("lines"), &mut archive, |fault, _| panic!("{fault}"), give)
                    .expect("a sink")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, convert);
criterion_main!(benches);
