//! What a packet costs: from the bytes of a frame to the state of its stream, over packets in memory.
//!
//! 4,000 streams take turns, so that each packet is of another connection than the one before and its state has to come
//! from beyond the first cache. Data of full size goes one way, with timestamps, and each second packet is acknowledged.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streams::packet::{Frame, Link, parse};
use streams::table::{Limits, Table};

const CONNECTIONS: u32 = 2000;
const ROUNDS: u32 = 30;

/// An Ethernet frame with TCP over IPv4 or IPv6: from the connection's client, or back.
fn frame(connection: u32, is_back: bool, seq: u32, ack: u32, payload: u16, is_ipv6: bool) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    let (client, server) = (connection.to_be_bytes(), [10, 0, 0, 1]);
    let (source, destination) = if is_back { (server, client) } else { (client, server) };
    if is_ipv6 {
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        bytes.extend((32 + payload).to_be_bytes());
        bytes.extend([6, 64]);
        for end in [source, destination] {
            bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes.extend(end);
        }
    } else {
        bytes.extend([8, 0, 0x45, 0]);
        bytes.extend((52 + payload).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(source);
        bytes.extend(destination);
    }
    let ports = if is_back { [443, 40_000u16] } else { [40_000, 443] };
    ports.iter().for_each(|port| bytes.extend(port.to_be_bytes()));
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x80, 0x10, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
    // As many bytes of payload as a capture keeps.
    bytes.resize(bytes.len() + usize::from(payload.min(128)), 0);
    bytes
}

/// Frames one behind the other, as they are in a ring.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    /// Where each ends, and the length that it has in truth.
    frames: Vec<(usize, u32)>,
}

impl Frames {
    fn new(is_ipv6: bool) -> Self {
        let header_len = if is_ipv6 { 86 } else { 66 };
        let mut all = Self::default();
        let mut push = |bytes: &[u8], wire_len| {
            all.bytes.extend(bytes);
            all.frames.push((all.bytes.len(), wire_len));
        };
        for round in 0..ROUNDS {
            for connection in 0..CONNECTIONS {
                for packet in 0..2 {
                    let seq = (round * 2 + packet) * 1448 + 1;
                    push(&frame(connection, false, seq, 1, 1448, is_ipv6), header_len + 1448);
                }
            }
            for connection in 0..CONNECTIONS {
                push(&frame(connection, true, 1, (round + 1) * 2896 + 1, 0, is_ipv6), header_len);
            }
        }
        all
    }

    fn iter(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut start = 0;
        self.frames.iter().enumerate().map(move |(number, &(end, wire_len))| {
            let bytes = &self.bytes[std::mem::replace(&mut start, end)..end];
            let time = 1_700_000_000_000_000_000 + number as u64 * 1000;
            Frame { link: Link::Ethernet, time, bytes, wire_len, gso_size: None, interface: 0 }
        })
    }
}

fn packets(criterion: &mut Criterion) {
    for (family, is_ipv6) in [("ipv4", false), ("ipv6", true)] {
        let frames = Frames::new(is_ipv6);
        let mut group = criterion.benchmark_group(family);
        group.throughput(Throughput::Elements(frames.frames.len() as u64));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| frames.iter().for_each(|frame| assert!(black_box(parse(&frame)).is_ok())));
        });
        group.bench_function("stream", |bencher| {
            let run = |mut table: Table| {
                frames.iter().for_each(|frame| assert!(table.frame(&frame, |_| {}).is_some()));
                table
            };
            let table = run(Table::new(Limits::NONE));
            assert_eq!(table.len(), CONNECTIONS as usize);
            assert_eq!(table.counts.malformed + table.counts.other_protocol, 0);
            bencher.iter_batched(|| Table::new(Limits::NONE), run, BatchSize::PerIteration);
        });
        group.finish();
    }
}

criterion_group!(benches, packets);
criterion_main!(benches);
