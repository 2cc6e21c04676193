//! Prometheus' own tool, and a real Prometheus.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netlab::{Namespace, Pair};

use crate::support::exporter::Exporter;
use crate::support::pages::{Scrape, request, wait_for};
use crate::support::traffic::{Connection, SERVERS};
use crate::support::{PATIENCE, is_installed, require_root, skipped};

/// The original's names, and what is said of each; they are kept, for dashboards ask for them.
const COMPLAINTS: [&str; 1] =
    ["tcp_stream_count non-histogram and non-summary metrics should not have \"_count\" suffix"];

/// A scrape that tells of streams.
fn scrape() -> Scrape {
    let pair = Pair::new();
    let exporter = Exporter::start(&pair.left, &["-process-metrics"]);
    let _held = SERVERS.map(|address| {
        let mut connection = Connection::open(&pair, address);
        connection.carry(10_000, 10_000);
        connection
    });
    let scrape = wait_for(&pair.left, "bytes", |scrape| scrape.value("tcp_streams_bytes_total") == Some(40_000.0));
    exporter.stop();
    scrape
}

#[test]
fn promtool_has_nothing_to_say_but_of_the_names_of_the_original() {
    require_root!();
    if !is_installed("promtool") {
        return skipped("promtool is not installed");
    }
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().expect("is installed");
    promtool.stdin.take().expect("is piped").write_all(scrape().0.as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8([said.stdout, said.stderr].concat()).expect("text");
    assert_eq!(said.lines().collect::<Vec<_>>(), COMPLAINTS);
}

/// Names and types of the contract, with the labels of streams.
#[test]
fn the_metrics_of_the_original_are_all_there() {
    require_root!();
    let scrape = scrape();
    let contract = include_str!("../golden/original.txt");
    for line in contract.lines() {
        let (name, kind) = line.split_once(' ').expect("name and type");
        assert!(scrape.0.contains(&format!("# TYPE {name} {kind}\n")), "{line}");
        let is_known = |name: &str| !["tcp_bitrate_bps", "tcp_bitrate_variance"].contains(&name);
        if name.starts_with("capture_") || name == "tcp_stream_count" {
            assert!(scrape.value(name).is_some(), "{name}");
        } else if is_known(name) {
            let streams = scrape.streams(name);
            assert!(!streams.is_empty(), "{name}");
            let names =
                |labels: &String| labels.split(',').map(|label| label.split('=').next().map(str::to_owned)).collect();
            let names: BTreeSet<Vec<_>> = streams.keys().map(names).collect();
            let expected = ["src_ip", "src_port", "dst_ip", "dst_port", "state"].map(|name| Some(name.to_owned()));
            assert_eq!(names, BTreeSet::from([expected.to_vec()]), "{name}");
        }
    }
}

/// Killed when dropped.
struct Prometheus(Child);

impl Prometheus {
    fn start(host: &Namespace, directory: &std::path::Path) -> Self {
        let config = directory.join("prometheus.yml");
        let job = "{job_name: s, static_configs: [{targets: ['127.0.0.1:9100']}]}";
        std::fs::write(&config, format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- {job}\n"))
            .expect("writes");
        // It ends with this test, however that ends.
        let mut command = host.command("setpriv");
        command.args(["--pdeathsig=KILL", "prometheus"]).arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        command.arg("--web.listen-address=127.0.0.1:9090").stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("is installed"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    require_root!();
    if !is_installed("prometheus") {
        return skipped("prometheus is not installed");
    }
    let pair = Pair::new();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let exporter = Exporter::start(&pair.left, &[]);
    let mut connection = Connection::open(&pair, SERVERS[1]);
    connection.carry(123_456, 7);
    let _prometheus = Prometheus::start(&pair.left, directory.path());
    let query = "/api/v1/query?query=sum(tcp_bytes_transferred_total%7Bdst_ip=%22fd77::2%22%7D)";
    pair.left.run(|| {
        let begin = Instant::now();
        loop {
            let answer = request("127.0.0.1:9090", query).map_or(String::new(), |(_, body)| body);
            if answer.contains("\"123456\"") {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{answer}");
            std::thread::sleep(Duration::from_millis(100)); // it scrapes once a second
        }
    });
    exporter.stop();
}
