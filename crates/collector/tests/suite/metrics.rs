//! What is told over HTTP, against what the kernel and the generator say.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use netlab::{Namespace, Pair};

use crate::support::daemon::{Daemon, program};
use crate::support::http::{get, get_here, value, wait_for};
use crate::support::require_root;
use crate::support::traffic::{Truth, connection, connections, echo_server};

fn server(namespace: &Namespace, address: &str) -> SocketAddr {
    namespace.run(|| echo_server(TcpListener::bind(address).expect("binds")))
}

/// Names, types, labels and help of all metrics, without their values.
fn shape(exposition: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(_) => line.to_owned(),
        None => line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned(),
    };
    exposition.lines().map(|text| line(text) + "\n").collect()
}

/// Run with `UPDATE_GOLDEN=1` to write it anew.
#[test]
fn the_exposition_has_the_names_types_labels_and_help_that_it_had() {
    require_root!();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/exposition.txt");
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    let (status, _) = get(&host, "/metrics");
    assert_eq!(status, 200);
    let (_, exposition) = get(&host, "/metrics");
    daemon.stop();
    let shape = shape(&exposition);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &shape).expect("writes");
    }
    let golden = std::fs::read_to_string(golden).expect("is there");
    for (line, expected) in shape.lines().zip(golden.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(shape.lines().count(), golden.lines().count());
}

#[test]
fn pages_say_what_there_is_and_how_the_recorder_is() {
    require_root!();
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    wait_for(&host, "tcpinfo_polls_total{af=\"ipv4\"}", |polls| polls > 0.0);
    assert_eq!(get(&host, "/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(get(&host, "/healthz"), (200, "ok\n".to_owned()));
    let (status, index) = get(&host, "/");
    assert!(status == 200 && index.contains("href=\"/metrics\""), "{index}");
    assert_eq!(get(&host, "/debug/pprof/").0, 404);
    daemon.stop();
}

/// Sockets in many states, of both families.
#[test]
fn sockets_are_counted_by_state_as_ss_counts_them() {
    require_root!();
    let pair = Pair::new();
    let servers = ["10.77.0.2:0", "[fd77::2]:0"].map(|address| server(&pair.right, address));
    let silent = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let silent_at = silent.local_addr().expect("is bound");
    let daemon = {
        let output = tempfile::tempdir().expect("a temporary directory");
        Daemon::start_only(pair.left.command(program()), output.path(), &["--metrics-only"], "metrics are served")
    };
    let held: Vec<_> = pair.left.run(|| {
        let connect = |address: SocketAddr| TcpStream::connect(address).expect("connects");
        let mut held: Vec<_> = servers.iter().flat_map(|&address| (0..20).map(move |_| connect(address))).collect();
        let half: Vec<_> = (0..5).map(|_| connect(silent_at)).collect();
        half.iter().for_each(|stream| stream.shutdown(std::net::Shutdown::Write).expect("is open")); // FIN_WAIT2
        held.extend(half);
        held
    });
    let listeners = pair.left.run(|| [(); 3].map(|()| TcpListener::bind("[::]:0").expect("binds")));
    let waiting = pair.left.run(|| connections(servers[0], 30, 1000.0, Duration::ZERO)).len();
    // The page itself is a connection: it is counted by one and not by the other.
    let exposition =
        wait_for(&pair.left, "tcp_connections_total{state=\"time_wait\"}", |count| count >= waiting as f64);
    let expected = pair.left.sockets_by_state();
    let told =
        |state: &str| value(&exposition, &format!("tcp_connections_total{{state=\"{state}\"}}")).expect("is told");
    for (state, count) in expected {
        match state {
            // What asked: both ends of one, and of those before it what the kernel keeps.
            "established" => assert_eq!(told(state), (count + 2) as f64),
            "time_wait" => assert!(told(state) <= count as f64 && count < told(state) as usize + 3, "{count}"),
            _ => assert_eq!(told(state), count as f64, "{state}"),
        }
    }
    drop((held, listeners));
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait().status.success());
}

#[test]
fn bytes_that_nobody_reads_are_in_a_queue() {
    require_root!();
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    let listener = host.run(|| TcpListener::bind("127.0.0.1:0").expect("binds"));
    let mut client = host.run(|| TcpStream::connect(listener.local_addr().expect("is bound")).expect("connects"));
    std::io::Write::write_all(&mut client, &[7; 1234]).expect("is taken");
    wait_for(&host, "tcp_rx_queued_bytes_total", |bytes| bytes == 1234.0);
    daemon.stop();
}

/// Twenty at once cost one dump, for what was counted is fresh for a second; and all are answered.
#[test]
fn scrapes_at_the_same_time_are_all_answered() {
    require_root!();
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    let told: Vec<_> = host.run(|| {
        let scrapes: Vec<_> = (0..20).map(|_| std::thread::spawn(|| get_here("/metrics"))).collect();
        scrapes.into_iter().map(|scrape| scrape.join().expect("no panic").expect("is answered").0).collect()
    });
    assert_eq!(told, [200; 20]);
    // This one may be told the same, or be the second.
    let dumps = value(&get(&host, "/metrics").1, "tcpinfo_host_dumps_total");
    assert!(dumps.is_some_and(|dumps| dumps <= 2.0), "{dumps:?}");
    daemon.stop();
}

/// Short connections and long ones, of both families and in both directions, and one that was there before.
#[test]
fn totals_are_what_the_generator_sent_to_the_byte() {
    require_root!();
    let pair = Pair::new();
    let out = ["10.77.0.2:0", "[fd77::2]:0"].map(|address| server(&pair.right, address));
    let inward = server(&pair.left, "10.77.0.1:0");
    let before = pair.left.run(|| TcpStream::connect(out[0]).expect("connects"));
    std::io::Write::write_all(&mut &before, &[7; 10_000]).expect("is taken");
    std::io::Read::read_exact(&mut &before, &mut [0; 20_000]).expect("is answered");
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    wait_for(&pair.left, "tcpinfo_open_connections", |count| count >= 1.0);
    std::io::Write::write_all(&mut &before, &[7; 1000]).expect("is taken");
    std::io::Read::read_exact(&mut &before, &mut [0; 2000]).expect("is answered");
    let short = Duration::ZERO;
    let mut sent: Vec<Truth> = pair.left.run(|| connections(out[0], 200, 400.0, short));
    sent.extend(pair.left.run(|| connections(out[1], 100, 400.0, Duration::from_millis(200))));
    let taken = pair.right.run(|| connections(inward, 200, 400.0, short));
    drop(before);
    let all = (sent.len() + taken.len() + 1) as f64;
    wait_for(&pair.left, "tcpinfo_destroy_events_total", |events| events >= all);
    let exposition = wait_for(&pair.left, "tcpinfo_open_connections", |count| count == 0.0);
    let sum = |truths: &[Truth], bytes: fn(&Truth) -> u64| truths.iter().map(bytes).sum::<u64>();
    let expected_sent = sum(&sent, |truth| truth.sent) + sum(&taken, |truth| truth.received) + 1000;
    let expected_received = sum(&sent, |truth| truth.received) + sum(&taken, |truth| truth.sent) + 2000;
    assert_eq!(value(&exposition, "tcpinfo_sent_bytes_total"), Some(expected_sent as f64));
    assert_eq!(value(&exposition, "tcpinfo_received_bytes_total"), Some(expected_received as f64));
    for (labels, count) in
        [("ipv4\",direction=\"out", 201), ("ipv6\",direction=\"out", 100), ("ipv4\",direction=\"in", 200)]
    {
        let series = format!("tcpinfo_connection_sent_bytes_count{{af=\"{labels}\"}}");
        assert_eq!(value(&exposition, &series), Some(f64::from(count)), "{series}");
    }
    daemon.stop();
}

/// Dropped on the way, and by this host itself before they are on it.
#[test]
fn totals_are_the_same_where_packets_are_lost() {
    require_root!();
    for hook in ["output", "input"] {
        let pair = Pair::new();
        let server = server(&pair.right, "10.77.0.2:0");
        pair.left.output("nft", &["add", "table", "ip", "t"]);
        let chain = format!("{{ type filter hook {hook} priority 0; }}");
        pair.left.output("nft", &["add", "chain", "ip", "t", "c", &chain]);
        let output = tempfile::tempdir().expect("a temporary directory");
        let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
        wait_for(&pair.left, "tcpinfo_polls_total{af=\"ipv4\"}", |polls| polls > 0.0);
        pair.left.output(
            "nft",
            &[
                "add", "rule", "ip", "t", "c", "ip", "protocol", "tcp", "numgen", "random", "mod", "100", "<", "4",
                "drop",
            ],
        );
        let sent: Vec<Truth> = pair.left.run(|| (0..6).map(|_| connection(server, 200_000, Duration::ZERO)).collect());
        // The page is asked for by TCP, too.
        pair.left.output("nft", &["flush", "table", "ip", "t"]);
        wait_for(&pair.left, "tcpinfo_destroy_events_total", |events| events >= sent.len() as f64);
        let exposition = wait_for(&pair.left, "tcpinfo_open_connections", |count| count == 0.0);
        let expected = sent.iter().map(|truth| truth.sent).sum::<u64>() as f64;
        assert_eq!(value(&exposition, "tcpinfo_sent_bytes_total"), Some(expected), "{hook}");
        assert_eq!(value(&exposition, "tcpinfo_received_bytes_total"), Some(2.0 * expected), "{hook}");
        daemon.stop();
    }
}

#[test]
fn totals_go_on_with_interval_off_when_a_filter_has_changed() {
    require_root!();
    let pair = Pair::new();
    let server = server(&pair.right, "10.77.0.2:0");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = dir.path().join("tcp-info.toml");
    std::fs::write(&config, "").expect("writes");
    let options = ["--interval=off".to_owned(), format!("--config={}", config.display())];
    let daemon = Daemon::start(pair.left.command(program()), &dir.path().join("out"), &[&options[0], &options[1]]);
    let carry = || pair.left.run(|| connection(server, 500, Duration::ZERO)).sent as f64;
    let first = carry();
    wait_for(&pair.left, "tcpinfo_sent_bytes_total", |bytes| bytes == first);
    std::fs::write(&config, "exclude-srcport = 7\n").expect("writes");
    daemon.signal(rustix::process::Signal::HUP);
    daemon.wait_for_log("options are read again");
    let second = carry();
    wait_for(&pair.left, "tcpinfo_sent_bytes_total", |bytes| bytes == first + second);
    daemon.stop();
}

#[test]
fn where_the_place_is_taken_a_chosen_one_is_an_error_and_the_usual_one_a_warning() {
    require_root!();
    let host = Namespace::new();
    let _taken = host.run(|| TcpListener::bind("127.0.0.1:9991").expect("binds"));
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    let ended = daemon.stop();
    assert!(ended.log.contains("metrics are not served"), "{}", ended.log);
    for options in [["--prom", "9991"], ["--web.listen-address", "127.0.0.1:9991"]] {
        let output = tempfile::tempdir().expect("a temporary directory");
        let ended = host.command(program()).args(options).arg("--output").arg(output.path()).output().expect("starts");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(1) && stderr.contains("cannot serve metrics on"), "{stderr}");
    }
}

#[test]
fn metrics_of_a_host_without_ipv6_and_without_root_are_told() {
    require_root!();
    let host = Namespace::new();
    host.output("sysctl", &["-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
    let listener = host.run(|| TcpListener::bind("127.0.0.1:0").expect("binds"));
    let mut command = host.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    command.arg(program());
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start_only(command, output.path(), &["--metrics-only", "--prom=:9991"], "metrics are served");
    let exposition = wait_for(&host, "tcp_connections_total{state=\"listen\"}", |count| count == 2.0);
    assert!(value(&exposition, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 0.0));
    assert!(!exposition.contains("tcpinfo_polls_total"), "nothing is recorded");
    assert!(std::fs::read_dir(output.path()).expect("is there").next().is_none(), "nor made");
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait().status.success());
    drop(listener);
}
