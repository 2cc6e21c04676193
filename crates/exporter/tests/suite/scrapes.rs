//! The pages, and what the capture says of itself.

use netlab::{Namespace, Pair};

use crate::support::exporter::Exporter;
use crate::support::pages::{Scrape, get, request, wait_for};
use crate::support::require_root;
use crate::support::traffic::{Connection, SERVERS};

#[test]
fn pages_say_what_there_is_and_how_it_goes() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &[]);
    let mut connection = Connection::open(&pair, SERVERS[0]);
    connection.carry(10, 10);
    wait_for(&pair.left, "packets", |scrape| scrape.value("tcp_streams_bytes_total") == Some(20.0));
    assert_eq!(get(&pair.left, "/healthz"), (200, "ok\n".to_owned()));
    let (status, index) = get(&pair.left, "/");
    assert!(status == 200 && index.contains("href=\"/metrics\""), "{index}");
    assert!(index.contains("<td>Streams tracked</td><td>2</td>"), "{index}");
    assert_eq!(get(&pair.left, "/debug/pprof/").0, 404);
    exporter.stop();
}

#[test]
fn the_capture_counts_every_packet_and_its_filter_leaves_out_the_others() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["-packet-filter", "tcp and port 80"]);
    for address in ["10.77.0.2:81", "10.77.0.2:80"] {
        let mut connection = Connection::open(&pair, address);
        connection.carry(20_000, 10_000);
    }
    let scrape = wait_for(&pair.left, "all bytes", |scrape| {
        scrape.value("tcp_streams_bytes_total") == Some(30_000.0) && scrape.value("tcp_streams_fins_total") == Some(2.0)
    });
    assert_eq!(scrape.value("tcp_streams_seen_total"), Some(2.0));
    assert_eq!(scrape.value("capture_info{interface=\"veth0\",filter=\"tcp and port 80\"}"), Some(1.0));
    assert!(scrape.streams("tcp_resets_total").keys().all(|labels| labels.contains("_port=\"80\"")));
    // Each packet in the ring is a frame out of it, once all are read.
    let processed = |scrape: &Scrape| scrape.value("capture_packets_processed_total");
    let scrape = wait_for(&pair.left, "all packets", |scrape| {
        processed(scrape) == scrape.value("capture_frames_total{outcome=\"segment\"}")
    });
    assert!(processed(&scrape) >= Some(10.0));
    assert_eq!(scrape.value("capture_dropped_packets_total"), Some(0.0));
    exporter.stop();
}

#[test]
fn all_interfaces_and_several_are_captured_on() {
    require_root!();
    for interfaces in ["any", "lo,veth0"] {
        let pair = Pair::new();
        let exporter = Exporter::start(&pair.left, &["-interface", interfaces]);
        let mut connection = Connection::open(&pair, SERVERS[1]);
        connection.carry(5_000, 3);
        let (client, server) = (connection.client_at, connection.server_at);
        wait_for(&pair.left, "both interfaces", |scrape| {
            let bytes = |from, to| scrape.stream("tcp_bytes_transferred_total", from, to).map(|(bytes, _)| bytes);
            // The scrapes themselves are on the other one.
            let loopback = scrape.streams("tcp_bytes_transferred_total");
            bytes(client, server) == Some(5_000.0)
                && bytes(server, client) == Some(3.0)
                && loopback.keys().any(|labels| labels.contains("src_ip=\"127.0.0.1\""))
        });
        exporter.stop();
    }
}

#[test]
fn it_is_told_whether_interfaces_are_captured_on() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["-interface=lo,veth0", "--capture-threads=2"]);
    let up = |name: &str| format!("capture_interface_up{{interface=\"{name}\"}}");
    let wait_for_it = |what, value| {
        let scrape = wait_for(&pair.left, what, |scrape| scrape.value(&up("veth0")) == Some(value));
        assert_eq!(scrape.value(&up("lo")), Some(1.0));
    };
    wait_for_it("it to be up", 1.0);
    pair.left.ip(&["link", "del", "veth0"]);
    wait_for_it("it to be gone", 0.0);
    pair.join();
    wait_for_it("it to be back", 1.0);
    let mut connection = Connection::open(&pair, SERVERS[0]);
    connection.carry(5_000, 0);
    wait_for(&pair.left, "its packets", |scrape| {
        let ends = (connection.client_at, connection.server_at);
        scrape.stream("tcp_bytes_transferred_total", ends.0, ends.1).is_some_and(|(bytes, _)| bytes == 5_000.0)
    });
    exporter.stop();
}

#[test]
fn scrapes_at_the_same_time_are_all_answered() {
    require_root!();
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["--capture-threads=2"]);
    let statuses: Vec<_> = pair.left.run(|| {
        let scrape = || std::thread::spawn(|| request("127.0.0.1:9100", "/metrics").expect("is answered").0);
        let scrapes: Vec<_> = (0..20).map(|_| scrape()).collect();
        scrapes.into_iter().map(|scrape| scrape.join().expect("no panic")).collect()
    });
    assert_eq!(statuses, [200; 20]);
    exporter.stop();
}

#[test]
fn the_process_is_told_of_if_that_is_wanted() {
    require_root!();
    let host = Namespace::new();
    for (args, expected) in [(&["-interface=lo"][..], false), (&["-interface=lo", "-process-metrics"], true)] {
        let exporter = Exporter::start(&host, args);
        assert_eq!(Scrape::of(&host).value("process_resident_memory_bytes") > Some(0.0), expected);
        exporter.stop();
    }
}
