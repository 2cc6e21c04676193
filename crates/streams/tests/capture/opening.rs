//! Rings that are opened while packets pass.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use netlab::{Namespace, Pair};
use streams::capture::Fanout;

use crate::support::captured::{Captured, open, read_some, read_until, ring};
use crate::support::packets::{Injector, Packet, ethernet, ipv4, segment, silence};
use crate::support::require_root;
use crate::support::traffic::{has_answer, knock};

const RINGS: usize = 12;

/// Calls `work` while packets are sent, the number of each in its sequence number.
fn while_sending<T>(from: &Namespace, packet: &Packet, work: impl FnOnce() -> T) -> T {
    let injector = Injector::new(from, "veth0");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut frame = ethernet(&[], packet);
            // Bounded, should the other side fail.
            for number in 0_u32..5_000_000 {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                frame[38..42].copy_from_slice(&number.to_be_bytes());
                injector.send(&frame);
            }
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn nothing_comes_in_that_the_filter_does_not_let_through() {
    require_root!();
    let pair = Pair::new();
    silence(&pair.left);
    silence(&pair.right);
    let udp = ipv4("UDP", 17, 0, &segment(5001, 0));
    let rings =
        while_sending(&pair.left, &udp, || -> Vec<_> { (0..RINGS).map(|_| ring(&pair.left, "veth0")).collect() });
    for mut ring in rings {
        knock(&pair.left, Ipv4Addr::new(10, 77, 0, 2).into(), 9);
        // Taken apart as TCP, which UDP does not survive.
        let captured = read_until(&mut ring, |captured| has_answer(captured, 9));
        assert!(captured.len() <= 2 * RINGS);
    }
}

#[test]
fn nothing_comes_to_two_rings_of_a_group() {
    require_root!();
    let pair = Pair::new();
    silence(&pair.left);
    silence(&pair.right);
    let tcp = ipv4("TCP", 6, 0, &segment(5001, 0));
    let mut captured: Vec<Captured> = Vec::new();
    while_sending(&pair.left, &tcp, || {
        let mut rings = vec![open(&pair.left, "veth0", "tcp", Some(Fanout::New)).expect("the ring opens")];
        let group = rings[0].fanout_group().expect("it has one");
        for _ in 1..RINGS {
            rings.push(open(&pair.left, "veth0", "tcp", Some(Fanout::Join(group))).expect("the ring opens"));
            for ring in &mut rings {
                while let Some(block) = ring.next_block() {
                    captured.extend(block.frames().map(Captured::from));
                }
            }
        }
        for ring in &mut rings {
            read_some(ring, &mut captured);
        }
    });
    assert!(captured.len() > 1000, "{}", captured.len());
    let mut times: HashMap<&[u8], u32> = HashMap::new();
    for frame in &captured {
        *times.entry(&frame.bytes).or_default() += 1;
    }
    assert_eq!(times.values().filter(|&&times| times > 1).count(), 0);
}
