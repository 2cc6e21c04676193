//! A real Prometheus, and its tool.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netlab::Namespace;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::http::{ADDRESS, get, request};
use crate::support::{is_installed, long_or_short, require_root, skipped};

/// Names that others chose, and that are kept for their sake: the Go original's, and Vector's.
const NAMES_OF_OTHERS: [&str; 9] = [
    "tcp_connections_total",
    "tcp_rx_queued_bytes_total",
    "tcp_tx_queued_bytes_total",
    "tcpinfo_cache_count_histogram",
    "tcpinfo_connection_count_histogram",
    "tcpinfo_polling_interval_histogram",
    "tcpinfo_receive_rate_histogram",
    "tcpinfo_send_rate_histogram",
    "tcpinfo_syscall_time_histogram",
];

#[test]
fn promtool_has_nothing_to_say_but_of_the_names_of_others() {
    require_root!();
    if !is_installed("promtool") {
        return skipped("promtool is not installed");
    }
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    let (_, exposition) = get(&host, "/metrics");
    daemon.stop();
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().expect("is installed");
    promtool.stdin.take().expect("is piped").write_all(exposition.as_bytes()).expect("it reads");
    let said = promtool.wait_with_output().expect("it ends");
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    let named: Vec<_> = said.lines().map(|line| line.split(' ').next().unwrap_or(line)).collect();
    assert_eq!(named, NAMES_OF_OTHERS, "{said}");
}

/// Killed when dropped.
struct Prometheus(Child);

impl Prometheus {
    fn start(host: &Namespace, directory: &Path, scrape: &str) -> Self {
        let config = directory.join("prometheus.yml");
        let text = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- {scrape}\n");
        std::fs::write(&config, text).expect("writes");
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

/// Result of a query as a number, if there is one.
fn query(query: &str) -> Option<f64> {
    let (_, body) = request("127.0.0.1:9090", &format!("/api/v1/query?query={query}")).ok()?;
    let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// Waits for the result of a query.
fn wait_for(host: &Namespace, text: &str, wanted: impl Fn(f64) -> bool + Sync) {
    host.run(|| {
        let begin = Instant::now();
        while !query(text).is_some_and(&wanted) {
            assert!(begin.elapsed() < PATIENCE * 2, "{text}: {:?}", query(text));
            std::thread::sleep(Duration::from_millis(100)); // it scrapes once a second
        }
    });
}

/// The long form goes on for a minute.
#[test]
fn a_real_prometheus_scrapes_it_plain_and_with_tls_and_password() {
    require_root!();
    if !is_installed("prometheus") {
        return skipped("prometheus is not installed");
    }
    let scrapes = long_or_short(60, 3);
    let files = tempfile::tempdir().expect("a temporary directory");
    let key = rcgen::generate_simple_self_signed(vec!["recorder".to_owned()]).expect("a certificate");
    std::fs::write(files.path().join("cert.pem"), key.cert.pem()).expect("writes");
    std::fs::write(files.path().join("key.pem"), key.signing_key.serialize_pem()).expect("writes");
    let web = files.path().join("web.yml");
    // Of the password `secret`.
    let hash = "$2b$04$H0WIJ59CX.JifImq3hEjN.MNAWVMYjnfQfwTTmhRIcQDJzH0.7qVK";
    let config =
        format!("tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{anna: {hash}}}\n");
    std::fs::write(&web, config).expect("writes");
    let web = format!("--web.config.file={}", web.display());
    let cert = files.path().join("cert.pem").display().to_string();
    let target = format!("static_configs: [{{targets: ['{ADDRESS}']}}]");
    let secured = format!(
        "{{job_name: r, scheme: https, tls_config: {{ca_file: {cert}, server_name: recorder}}, \
         basic_auth: {{username: anna, password: secret}}, {target}}}"
    );
    for (options, scrape) in [(vec![], format!("{{job_name: r, {target}}}")), (vec![web.as_str()], secured)] {
        let host = Namespace::new();
        let [output, data] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        let daemon = Daemon::start(host.command(program()), output.path(), &[&["--include-local"], &*options].concat());
        let listener = host.run(|| TcpListener::bind("127.0.0.1:0").expect("binds"));
        let address = listener.local_addr().expect("is bound");
        let held: Vec<_> = host.run(|| (0..25).map(|_| TcpStream::connect(address).expect("connects")).collect());
        let _prometheus = Prometheus::start(&host, data.path(), &scrape);
        wait_for(&host, "up", |up| up == 1.0);
        wait_for(&host, &format!("count_over_time(up[{scrapes}s])"), |count| count >= f64::from(scrapes));
        wait_for(&host, &format!("min_over_time(up[{scrapes}s])"), |up| up == 1.0);
        // Both ends of each, and of what Prometheus itself holds: the scrape and the query.
        wait_for(&host, "tcp_connections_total{state=%22established%22}", |count| (50.0..=56.0).contains(&count));
        wait_for(&host, "tcpinfo_open_connections", |count| (50.0..=56.0).contains(&count));
        drop(held);
        daemon.stop();
    }
}
