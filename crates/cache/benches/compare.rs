//! What one socket of a poll costs: unchanged, changed, new. As many sockets as a busy host has, so that they do not
//! all fit the processor's cache.

use cache::{Cache, LeftOut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inetdiag::{Message, NetlinkMessages};

const SOCKETS: u32 = 10_000;
const COOKIE: std::ops::Range<usize> = 44..48;
const RTT: usize = 68;

/// Messages as the kernel sends them, each with a cookie of its own.
fn dump() -> Vec<Vec<u8>> {
    let capture = include_bytes!("../../../testdata/netlink/transfer.bin");
    let payload = NetlinkMessages::new(capture).filter_map(Result::ok).nth(10).expect("a transfer has some").payload;
    let socket = |cookie: u32| {
        let mut bytes = payload.to_vec();
        bytes[COOKIE].copy_from_slice(&cookie.to_ne_bytes());
        bytes
    };
    (1..=SOCKETS).map(socket).collect()
}

fn poll(cache: &mut Cache, dump: &[Vec<u8>]) -> usize {
    cache.begin_poll();
    let messages = dump.iter().filter_map(|bytes| Message::new(bytes).ok());
    messages.filter(|message| cache.update(*message, LeftOut::NOTHING).is_some()).count()
}

fn compare(c: &mut Criterion) {
    let mut sockets = dump();
    let info = Message::new(&sockets[0]).ok().and_then(|message| message.attribute(2)).expect("has tcp_info").offset;
    let mut group = c.benchmark_group("update");
    group.throughput(Throughput::Elements(SOCKETS.into()));
    let mut cache = Cache::new();
    poll(&mut cache, &sockets);
    group.bench_function("unchanged", |b| b.iter(|| assert_eq!(poll(&mut cache, &sockets), 0)));
    group.bench_function("changed", |b| {
        b.iter(|| {
            sockets.iter_mut().for_each(|bytes| bytes[info + RTT] ^= 1);
            assert_eq!(poll(&mut cache, &sockets), SOCKETS as usize);
        });
    });
    group.bench_function("new", |b| b.iter(|| poll(&mut Cache::new(), &sockets)));
    group.finish();
}

criterion_group!(benches, compare);
criterion_main!(benches);
