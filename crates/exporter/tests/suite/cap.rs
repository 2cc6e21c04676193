//! Of which streams is told by themselves, and what the totals are of all.

use netlab::Pair;

use crate::support::exporter::Exporter;
use crate::support::pages::{Scrape, ends, wait_for};
use crate::support::traffic::{Connection, SERVERS};
use crate::support::{PATIENCE, require_root};

const BYTES: &str = "tcp_bytes_transferred_total";

/// Opens a connection that carries so many bytes there and one back, for each.
fn carry(pair: &Pair, sizes: &[usize]) -> Vec<Connection> {
    let open = |&size: &usize| {
        let mut connection = Connection::open(pair, SERVERS[0]);
        connection.carry(size, 1);
        connection
    };
    sizes.iter().map(open).collect()
}

fn has_carried(scrape: &Scrape, bytes: usize) -> bool {
    scrape.value("tcp_streams_bytes_total") == Some(bytes as f64)
}

#[test]
fn the_largest_are_told_and_totals_are_of_all() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["--max-exported-streams=3"]);
    let _held = carry(&pair, &[1_000, 50_000, 2_000, 40_000, 3_000, 60_000]);
    let scrape = wait_for(&pair.left, "all bytes", |scrape| has_carried(scrape, 156_006));
    let mut told: Vec<_> = scrape.streams(BYTES).into_values().collect();
    told.sort_by(f64::total_cmp);
    assert_eq!(told, [40_000.0, 50_000.0, 60_000.0]);
    assert_eq!(scrape.streams("tcp_stream_health_score").len(), 3);
    for (name, expected) in [("tcp_stream_count", 12.0), ("tcp_streams_tracked", 12.0), ("tcp_streams_exported", 3.0)] {
        assert_eq!(scrape.value(name), Some(expected), "{name}");
    }
    exporter.stop();
}

#[test]
fn the_latest_are_told_if_that_is_wanted() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["--max-exported-streams=2", "--export-by=recency"]);
    let mut held = carry(&pair, &[50_000, 1_000, 60_000]);
    held[1].carry(7, 7);
    let scrape = wait_for(&pair.left, "all bytes", |scrape| has_carried(scrape, 111_017));
    let told: Vec<_> = scrape.streams(BYTES).into_values().collect();
    assert!(told.contains(&1_007.0) && told.contains(&8.0) && told.len() == 2, "{told:?}");
    exporter.stop();
}

#[test]
fn those_that_retransmit_most_are_told_if_that_is_wanted() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["--max-exported-streams=1", "--export-by=retransmits"]);
    let _large = carry(&pair, &[500_000]);
    let mut lossy = Connection::open(&pair, SERVERS[0]);
    pair.right.output("nft", &["add", "table", "ip", "t"]);
    pair.right.output("nft", &["add", "chain", "ip", "t", "c", "{ type filter hook input priority 0; }"]);
    let port = lossy.server_at.port().to_string();
    let loss = ["numgen", "random", "mod", "10", "<", "1", "drop"];
    pair.right.output("nft", &[&["add", "rule", "ip", "t", "c", "tcp", "dport", &port], &loss[..]].concat());
    let begin = std::time::Instant::now();
    let mut carried = 0;
    // Sooner or later something is lost.
    while Scrape::of(&pair.left).value("tcp_streams_retransmits_total") == Some(0.0) {
        assert!(begin.elapsed() < PATIENCE);
        lossy.carry(10_000, 1);
        carried += 10_001;
    }
    let scrape = wait_for(&pair.left, "all bytes", |scrape| {
        let retransmitted = scrape.value("tcp_streams_retransmitted_bytes_total").unwrap_or(0.0);
        scrape
            .value("tcp_streams_bytes_total")
            .is_some_and(|bytes| bytes - retransmitted >= f64::from(500_001 + carried))
    });
    let told = scrape.streams("tcp_retransmits_total");
    let (labels, retransmits) = told.first_key_value().expect("one stream");
    assert!(told.len() == 1 && labels.starts_with(&ends(lossy.client_at, lossy.server_at)), "{labels}");
    assert_eq!(Some(*retransmits), scrape.value("tcp_streams_retransmits_total"));
    exporter.stop();
}

#[test]
fn none_is_told_where_none_may_be() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["--max-exported-streams=0"]);
    let _held = carry(&pair, &[5_000]);
    let scrape = wait_for(&pair.left, "all bytes", |scrape| has_carried(scrape, 5_001));
    assert!(!scrape.0.contains("src_ip="));
    exporter.stop();
}

/// More streams than are followed, too: their packets are counted as frames.
#[test]
fn totals_never_go_back_while_streams_are_forgotten() {
    require_root!();
    let pair = Pair::new();
    let exporter =
        Exporter::start(&pair.left, &["-finalized-age=100ms", "--max-exported-streams=5", "--capture-threads=2"]);
    let mut before: Vec<(String, f64)> = Vec::new();
    let mut look = |scrape: &Scrape| {
        let counters: Vec<_> = totals(scrape).collect();
        for ((name, was), (also, is)) in before.iter().zip(&counters) {
            assert!(name == also && is >= was, "{name} was {was}, and {also} is {is}");
        }
        before = counters;
    };
    for round in 1..=6 {
        // They end, and are forgotten while the next ones come.
        drop(carry(&pair, &[10_000; 20]));
        let scrape = wait_for(&pair.left, "all bytes", |scrape| has_carried(scrape, round * 20 * 10_001));
        look(&scrape);
        assert!(scrape.streams(BYTES).len() <= 5);
    }
    let scrape = wait_for(&pair.left, "all to be forgotten", |scrape| scrape.value("tcp_streams_tracked") == Some(0.0));
    look(&scrape);
    assert!(has_carried(&scrape, 6 * 20 * 10_001));
    for (name, expected) in [("tcp_streams_seen_total", 240.0), ("tcp_streams_fins_total", 240.0)] {
        assert_eq!(scrape.value(name), Some(expected), "{name}");
    }
    exporter.stop();
}

/// All counters without labels of a stream.
fn totals(scrape: &Scrape) -> impl Iterator<Item = (String, f64)> {
    let lines = scrape.0.lines().filter(|line| line.starts_with("tcp_streams_") || line.starts_with("capture_"));
    lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        series.contains("_total").then(|| (series.to_owned(), value.parse().expect("a number")))
    })
}

#[test]
fn packets_of_streams_that_there_is_no_room_for_are_counted() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["--max-streams=4"]);
    let _held = carry(&pair, &[1_000, 1_000, 1_000]);
    let untracked = "capture_frames_total{outcome=\"untracked\"}";
    let scrape = wait_for(&pair.left, "untracked packets", |scrape| scrape.value(untracked) > Some(2.0));
    assert_eq!(scrape.value("tcp_streams_tracked"), Some(4.0));
    assert_eq!(scrape.value("tcp_streams_bytes_total"), Some(2_002.0));
    exporter.stop();
}
