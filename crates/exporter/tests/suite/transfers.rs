//! Streams, from their first packet until they are forgotten.

use netlab::Pair;

use crate::support::exporter::Exporter;
use crate::support::pages::{Scrape, wait_for};
use crate::support::require_root;
use crate::support::traffic::{Connection, SERVERS, reset};

const BYTES: &str = "tcp_bytes_transferred_total";

fn has(scrape: &Scrape, connection: &Connection, there: usize, back: usize, state: &str) -> bool {
    let (client, server) = (connection.client_at, connection.server_at);
    let expected = |bytes: usize| Some((bytes as f64, state.to_owned()));
    scrape.stream(BYTES, client, server) == expected(there) && scrape.stream(BYTES, server, client) == expected(back)
}

#[test]
fn bytes_are_exact_in_both_directions_and_states_follow_the_connection() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["-finalized-age", "1s"]);
    let connections = SERVERS.map(|address| {
        let mut connection = Connection::open(&pair, address);
        connection.carry(300_000, 70_000);
        connection
    });
    let scrape = wait_for(&pair.left, "all bytes", |scrape| {
        connections.iter().all(|connection| has(scrape, connection, 300_000, 70_000, "active"))
    });
    for connection in &connections {
        let (client, server) = (connection.client_at, connection.server_at);
        let value = |name: &str| scrape.stream(name, client, server).unwrap_or_else(|| panic!("{name}")).0;
        assert_eq!((value("tcp_retransmits_total"), value("tcp_sequence_gaps_total")), (0.0, 0.0));
        assert!(value("tcp_stream_packets_total") >= 300_000.0 / 65_536.0);
        let [min, avg, max] = ["min", "avg", "max"].map(|which| value(&format!("tcp_{which}_delay_seconds")));
        assert!(0.0 < min && min <= avg && avg <= max && max < 10.0, "{min} {avg} {max}");
        // Scaled: the field itself ends at 65,535.
        let window = scrape.stream("tcp_window_size_bytes", server, client).expect("the handshake was seen").0;
        assert!(window > 0.0 && window % 1.0 == 0.0, "{window}");
    }
    assert_eq!(scrape.value("tcp_stream_count"), Some(4.0));
    let ended = connections.map(|Connection { client, server, client_at, server_at }| {
        drop((client, server));
        (client_at, server_at)
    });
    let is_finalized = |scrape: &Scrape| {
        let state = |from, to| scrape.stream(BYTES, from, to).is_some_and(|(_, state)| state == "finalized");
        ended.iter().all(|&(client, server)| state(client, server) && state(server, client))
    };
    let scrape = wait_for(&pair.left, "both ends to be finalized", is_finalized);
    assert_eq!(scrape.value("tcp_stream_count"), Some(0.0));
    let scrape = wait_for(&pair.left, "streams to be forgotten", |scrape| scrape.streams(BYTES).is_empty());
    assert_eq!(scrape.value("tcp_streams_tracked"), Some(0.0));
    assert_eq!(scrape.value("tcp_streams_bytes_total"), Some(740_000.0));
    assert_eq!(scrape.value("tcp_streams_seen_total"), Some(4.0));
    exporter.stop();
}

#[test]
fn a_reset_is_told_of_both_directions() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &[]);
    let connection = Connection::open(&pair, SERVERS[0]);
    let (client, server) = (connection.client_at, connection.server_at);
    reset(connection);
    let scrape = wait_for(&pair.left, "the reset", |scrape| {
        scrape.stream("tcp_resets_total", server, client).is_some_and(|(resets, _)| resets == 1.0)
    });
    for (from, to) in [(client, server), (server, client)] {
        assert_eq!(scrape.stream(BYTES, from, to).map(|(_, state)| state).as_deref(), Some("reset"));
    }
    assert_eq!(scrape.value("tcp_streams_resets_total"), Some(1.0));
    exporter.stop();
}

/// The handshake was not seen, there was no second of it yet, and nobody has acknowledged anything.
#[test]
fn what_is_not_known_has_no_sample() {
    require_root!();
    let pair = Pair::new();
    let mut connection = Connection::open(&pair, SERVERS[0]);
    let exporter = Exporter::start(&pair.left, &[]);
    connection.carry(1, 1);
    let (client, server) = (connection.client_at, connection.server_at);
    let scrape = wait_for(&pair.left, "a byte", |scrape| scrape.stream(BYTES, client, server).is_some());
    for name in ["tcp_window_size_bytes", "tcp_jitter_seconds", "tcp_bitrate_variance"] {
        assert!(scrape.0.contains(&format!("# TYPE {name} gauge")), "{name}");
        assert_eq!(scrape.stream(name, client, server), None, "{name}");
    }
    exporter.stop();
}
