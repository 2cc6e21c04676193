use std::collections::BTreeSet;
use std::time::Duration;

use streams::analysis::{Counters, DelaySummary, Report, State, Totals};
use streams::capture::Statistics;
use streams::live::{Gathered, InterfaceState};
use streams::packet::{Endpoint, Flow};
use streams::table::FrameCounts;

use super::totals::COUNTERS;
use super::*;

fn endpoint(address: &str, port: u16) -> Endpoint {
    let address: std::net::IpAddr = address.parse().expect("an address");
    let address = match address {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
        std::net::IpAddr::V6(address) => address,
    };
    Endpoint { address: address.octets(), port }
}

/// Of which as little is known as possible.
fn report(source: Endpoint, destination: Endpoint, state: State) -> Report {
    Report {
        flow: Flow { source, destination },
        state,
        first: 0,
        last: 0,
        uptime: Duration::ZERO,
        counters: Counters { packets: 1, ..Counters::default() },
        window: None,
        window_scale: None,
        zero_window_time: Duration::ZERO,
        delay: None,
        delay_samples: 0,
        bitrate: None,
        max_bitrate: None,
        bitrate_variation: None,
        interarrival_deviation: None,
        packet_size_variation: None,
        health_score: 100.0,
    }
}

fn made_up() -> Gathered {
    let (a, b) = (endpoint("192.0.2.1", 40_000), endpoint("198.51.100.7", 443));
    let counters = Counters {
        packets: 1_000,
        bytes: 5_000_000_000,
        retransmitted_bytes: 2_896,
        gap_bytes: 1_448,
        ect: 900,
        retransmits: 2,
        spurious_retransmits: 1,
        out_of_order: 3,
        ahead_of_gap: 4,
        gaps: 5,
        duplicate_acks: 6,
        zero_window_events: 7,
        zero_window_probes: 8,
        keep_alives: 9,
        unseen_acked: 10,
        strays: 24,
        syns: 11,
        fins: 12,
        resets: 13,
        sacks: 14,
        dsacks: 15,
        ce: 16,
        ece: 17,
        cwr: 18,
    };
    let known = Report {
        uptime: Duration::from_millis(2_500),
        counters,
        window: Some(65_536),
        window_scale: Some(7),
        zero_window_time: Duration::from_micros(1_500),
        delay: Some(DelaySummary { min: 12, avg: 250.5, max: 1_000_000, jitter: 3.25 }),
        delay_samples: 100,
        bitrate: Some(8_000),
        max_bitrate: Some(16_000),
        bitrate_variation: Some(0.5),
        interarrival_deviation: Some(0.000_125),
        packet_size_variation: Some(0.0),
        health_score: 87.25,
        ..report(a, b, State::Active)
    };
    let v6 = report(endpoint("2001:db8::1", 1), endpoint("2001:db8:0:0:1::2", 65_535), State::Reset);
    // One delay was measured: it is known, and its jitter is not.
    let once = Report {
        delay: Some(DelaySummary { min: 20, avg: 20.0, max: 20, jitter: 0.0 }),
        delay_samples: 1,
        bitrate_variation: Some(f64::NAN),
        ..report(b, a, State::Finalized)
    };
    let mut totals = Totals::default();
    totals.add_stream(&counters);
    totals.add_stream(&counters);
    Gathered {
        reports: vec![known, once, v6],
        active: 10,
        tracked: 12,
        seen: 20,
        totals,
        frames: FrameCounts {
            frames: 100,
            other_protocol: 1,
            truncated: 2,
            malformed: 3,
            fragments: 4,
            datagrams_given_up: 6,
            untracked: 5,
            copies: 8,
            evicted: 9,
        },
        capture: Statistics { received: 100, dropped: 7, freezes: 2, malformed: 1 },
        interfaces: [("eth0", true), ("tun0", false)]
            .map(|(name, is_up)| InterfaceState { name: name.to_owned(), is_up })
            .to_vec(),
        longest_pause: 1_250_000,
        longest_pause_cpu: 750_000,
        threads: 1,
    }
}

fn written(gathered: &Gathered) -> String {
    let mut out = Vec::new();
    let mut text = Text::new(&mut out);
    totals(gathered, &mut text);
    each_stream(gathered, &mut text);
    text.finish().expect("is memory");
    String::from_utf8(out).expect("text")
}

/// Run with `UPDATE_GOLDEN=1` to write it anew.
#[test]
fn the_exposition_is_what_it_was() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/exposition.txt");
    let text = written(&made_up());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &text).expect("writes");
    }
    let golden = std::fs::read_to_string(golden).expect("is there");
    for (line, expected) in text.lines().zip(golden.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}

#[test]
fn each_family_is_once_and_all_its_samples_follow_it() {
    let text = written(&made_up());
    let mut families = BTreeSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help");
            assert!(families.insert(name) && help.ends_with('.') && !help.contains('\\'), "{line}");
            current = name;
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').expect("a type");
            assert!(name == current && (kind == "counter") == name.ends_with("_total"), "{line}");
        } else {
            assert_eq!(line.split(['{', ' ']).next(), Some(current));
        }
    }
    assert!(families.len() > 60, "{}", families.len());
}

/// Two samples of the same labels would be no exposition.
#[test]
fn of_a_stream_that_two_threads_know_the_one_with_more_is_told() {
    let mut reports = made_up().reports;
    // As it is, it would not equal itself.
    reports[1].bitrate_variation = None;
    let more = Report { counters: Counters { packets: 7, ..Counters::default() }, ..reports[2].clone() };
    let expected = vec![reports[0].clone(), reports[1].clone(), more.clone()];
    reports.insert(0, more);
    reports.reverse();
    crate::gatherer::order(&mut reports);
    assert_eq!(reports, expected);
}

#[test]
fn every_counter_of_streams_is_explained() {
    let counters: BTreeSet<_> = Totals::default().iter().map(|(name, _)| name).collect();
    assert_eq!(counters, COUNTERS.iter().map(|&(name, _)| name).collect());
}

#[test]
fn a_writer_that_fails_is_told_of() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut out = Full;
    let mut text = Text::new(&mut out);
    totals(&made_up(), &mut text);
    assert!(text.finish().is_err());
}
