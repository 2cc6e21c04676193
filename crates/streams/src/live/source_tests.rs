//! Sources that are told to look; nothing happens behind their back.

use std::net::TcpStream;

use netlab::Pair;

use super::*;

/// Of packets of three connections that are refused: each a SYN and a RST.
const KNOCKS: u64 = 6;
/// Without what IPv6 has to say of itself; and only where there are Ethernet headers. It takes libpcap.
const EXPRESSION: &str = "ip proto 6 and not ether broadcast";

fn can_run() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: this test makes network namespaces, which takes root");
    }
    is_root
}

/// Does something in the namespace of the left side with so many sources of its interface.
fn with_sources(pair: &Pair, count: usize, work: impl FnOnce(&mut [Source]) + Send) {
    pair.left.run(|| {
        let options = RingOptions { blocks: 4, ..RingOptions::default() };
        let group = (count > 1).then(Arc::default);
        let open = |_| Source::open("veth0", EXPRESSION, options, group.clone()).expect("root may capture");
        work(&mut (0..count).map(open).collect::<Vec<_>>());
    });
}

/// Lets packets pass, and says by how many those that were captured since the last time are others than these. The kernel has
/// counted them before a connection is refused.
fn miscounted(sources: &mut [Source], before: &mut u64) -> u64 {
    (0..3).for_each(|_| drop(TcpStream::connect("10.77.0.2:9").expect_err("nobody listens")));
    let received = sources.iter_mut().map(|source| source.statistics().received).sum::<u64>();
    let since = received - std::mem::replace(before, received);
    KNOCKS.abs_diff(since)
}

fn look(sources: &mut [Source]) -> Vec<bool> {
    sources.iter_mut().map(|source| (source.look(), source.is_up()).1).collect()
}

fn is_one_group(sources: &[Source]) -> bool {
    sources.iter().all(|source| source.ring.fanout_group() == sources[0].ring.fanout_group())
}

#[test]
fn an_interface_that_comes_back_is_captured_on_under_whatever_index() {
    if !can_run() {
        return;
    }
    for count in [1, 3] {
        let pair = Pair::new();
        let mut index = 70;
        with_sources(&pair, count, |sources| {
            let mut before = 0;
            assert_eq!((look(sources), miscounted(sources, &mut before)), (vec![true; count], 0));
            // Another index, the same again, and the same while nobody looks.
            for (step, is_looked_at) in [(0, true), (0, true), (1, true), (0, false)] {
                index += step;
                pair.left.ip(&["link", "del", "veth0"]);
                if is_looked_at {
                    assert_eq!(look(sources), vec![false; count]);
                }
                pair.join_as(index);
                assert_eq!((look(sources), miscounted(sources, &mut before)), (vec![true; count], 0), "{index}");
                assert!(is_one_group(sources));
            }
        });
    }
}

#[test]
fn an_interface_that_is_only_down_keeps_its_ring() {
    if !can_run() {
        return;
    }
    for count in [1, 2] {
        let pair = Pair::new();
        with_sources(&pair, count, |sources| {
            let mut before = 0;
            assert_eq!(miscounted(sources, &mut before), 0);
            pair.left.ip(&["link", "set", "veth0", "down"]);
            assert_eq!(look(sources), vec![false; count]);
            pair.left.ip(&["link", "set", "veth0", "up"]);
            assert_eq!((look(sources), miscounted(sources, &mut before)), (vec![true; count], 0));
            let is_first_ring = |source: &Source| source.before == Statistics::default();
            assert!(sources.iter().all(is_first_ring));
        });
    }
}

#[test]
fn what_cannot_be_captured_on_is_tried_again() {
    if !can_run() {
        return;
    }
    let pair = Pair::new();
    with_sources(&pair, 1, |sources| {
        pair.left.ip(&["link", "del", "veth0"]);
        // Without an Ethernet header that is no filter.
        pair.left.ip(&["tuntap", "add", "veth0", "mode", "tun"]);
        pair.left.ip(&["link", "set", "veth0", "up"]);
        assert_eq!([look(sources), look(sources)].concat(), [false, false]);
        pair.left.ip(&["link", "del", "veth0"]);
        pair.join();
        assert_eq!((look(sources), miscounted(sources, &mut 0)), (vec![true], 0));
    });
}

#[test]
fn who_cannot_join_the_others_makes_a_group_that_they_join() {
    if !can_run() {
        return;
    }
    let pair = Pair::new();
    with_sources(&pair, 3, |sources| {
        // The first one follows to a group of an interface that is gone by now: this one stands for it.
        let elsewhere = Interface::named("lo").expect("is there");
        let options = sources[0].options;
        let other = Ring::open(&elsewhere, &Filter::tcp(), &options, Some(Fanout::New)).expect("root may capture");
        let group = sources[0].group.clone().expect("there are three");
        *lock(&group) = Group { generation: 9, number: other.fanout_group().expect("it has one") };
        assert_eq!(look(&mut sources[..1]), [false]);
        assert_eq!((look(sources), lock(&group).generation), (vec![true; 3], 10));
        assert!(is_one_group(sources));
        assert_eq!(miscounted(sources, &mut 0), 0);
    });
}
