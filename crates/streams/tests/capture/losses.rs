//! What does not fit is counted.

use std::time::Duration;

use netlab::Pair;
use streams::capture::{Filter, Interface, Ring, RingOptions, Statistics};

use crate::support::captured::{read_some, read_until};
use crate::support::packets::{Injector, ethernet, ipv4, segment, silence};
use crate::support::require_root;

const TINY: RingOptions =
    RingOptions { block_size: 4096, blocks: 4, frame_size: 2048, retire: Duration::from_millis(10) };

#[test]
fn what_nobody_reads_is_counted_and_the_sums_hold_for_the_life_of_the_ring() {
    require_root!();
    let pair = Pair::new();
    silence(&pair.left);
    silence(&pair.right);
    let injector = Injector::new(&pair.left, "veth0");
    let packet = ethernet(&[], &ipv4("TCP", 6, 0, &segment(5001, 300)));
    let mut ring = pair.left.run(|| {
        let interface = Interface::named("veth0").expect("is there");
        Ring::open(&interface, &Filter::tcp(), &TINY, None).expect("opens")
    });
    assert_eq!(ring.statistics().expect("counts"), Statistics::default());

    let mut dropped = 0;
    let mut received = 0;
    for sent in [200, 400] {
        for _ in 0..200 {
            injector.send(&packet);
        }
        let told = ring.statistics().expect("counts");
        assert_eq!(told.received + told.dropped, sent);
        // Four blocks have room for 16 KiB, and each packet takes at least what is captured of it.
        assert!(told.received - received <= 4 * 4096 / 256, "{told:?}");
        assert!(told.dropped > dropped && told.freezes > 0, "{told:?}");
        assert_eq!(ring.statistics().expect("counts"), told);

        // All that was received can be read.
        let new = (told.received - received) as usize;
        let mut captured = read_until(&mut ring, |captured| captured.len() >= new);
        read_some(&mut ring, &mut captured);
        assert_eq!(captured.len(), new);
        assert_eq!(ring.statistics().expect("counts"), told);
        (received, dropped) = (told.received, told.dropped);
    }
}
