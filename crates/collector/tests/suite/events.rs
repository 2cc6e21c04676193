//! The event sockets, as programs on the host see them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use netlab::Pair;
use serde_json::Value;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, long_or_short, require_root};

fn server(pair: &Pair) -> SocketAddr {
    pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")))
}

/// A client that reads lines.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("is served");
        stream.set_read_timeout(Some(PATIENCE)).expect("is a socket");
        Self(BufReader::new(stream))
    }

    fn ask(path: &Path, line: &str) -> Self {
        let mut client = Self::connect(path);
        client.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("is served");
        client
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("reads");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn is_dropped(&mut self) -> bool {
        self.0.read_line(&mut String::new()).is_ok_and(|len| len == 0)
    }
}

/// Waits until the server has accepted what was connected before: it does so one after the other.
fn settle(path: &Path) {
    let mut last = Client::ask(path, "x");
    assert!(last.is_dropped(), "what it said means nothing");
}

#[test]
fn each_connection_opens_and_closes_as_the_original_tells_it() {
    require_root!();
    let pair = Pair::new();
    let server = server(&pair);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, v1, v2] = ["out", "v1", "v2"].map(|name| dir.path().join(name));
    let sockets = [format!("-tcpinfo.eventsocket={}", v1.display()), format!("--eventsocket-v2={}", v2.display())];
    let daemon = Daemon::start(pair.left.command(program()), &output, &[&sockets[0], &sockets[1]]);
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(&v1)).collect();
    settle(&v2);
    let truths = pair.left.run(|| connections(server, 50, 200.0, Duration::from_millis(30)));
    for client in &mut clients {
        let mut open = HashMap::new();
        let mut closed = 0;
        while closed < 50 {
            let event = client.next();
            let keys: Vec<_> = event.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(keys, ["Event", "ID", "Timestamp", "UUID"]);
            assert!(event["Timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{event}");
            let uuid = event["UUID"].as_str().expect("text").to_owned();
            match event["Event"].as_u64() {
                Some(0) => assert!(open.insert(uuid, event["ID"].clone()).is_none(), "it opens once"),
                Some(1) => {
                    assert!(event["ID"].is_null() && open.contains_key(&uuid), "{event}");
                    closed += 1;
                }
                _ => panic!("{event}"),
            }
        }
        assert_eq!(open.len(), 50);
        for (uuid, id) in &open {
            let keys: Vec<_> = id.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(keys, ["Cookie", "DPort", "DstIP", "Interface", "SPort", "SrcIP"]);
            assert_eq!((&id["SrcIP"], &id["DstIP"]), (&"10.77.0.1".into(), &"10.77.0.2".into()));
            assert_eq!(id["DPort"].as_u64(), Some(server.port().into()));
            let port = id["SPort"].as_u64().expect("a port");
            assert!(truths.iter().any(|truth| u64::from(truth.client.port()) == port));
            assert!(uuid.ends_with(&format!("_{:016X}", id["Cookie"].as_u64().expect("a number"))));
        }
    }
    daemon.stop();
    assert!(!v1.exists() && !v2.exists(), "the sockets go with it");
    let uuids = archive::read(&output).len();
    assert_eq!(uuids, 50);
}

#[test]
fn a_client_of_the_second_protocol_is_told_what_it_asks_for_and_what_each_came_to() {
    require_root!();
    let pair = Pair::new();
    let [wanted, other] = [(); 2].map(|()| server(&pair));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, v2] = ["out", "v2"].map(|name| dir.path().join(name));
    let socket = format!("--eventsocket-v2={}", v2.display());
    let daemon = Daemon::start(pair.left.command(program()), &output, &[&socket]);
    let held = pair.left.run(|| TcpStream::connect(wanted).expect("connects"));
    let mut all = Client::ask(&v2, "{}");
    let first = all.next();
    assert_eq!((&first["Event"], &first["ID"]["DPort"]), (&"open".into(), &wanted.port().into()));
    let mut some = Client::ask(&v2, &format!(r#"{{"ports":[{}],"networks":["10.77.0.2"]}}"#, wanted.port()));
    let replay = some.next();
    assert_eq!((&replay["Replay"], &replay["UUID"]), (&true.into(), &first["UUID"]));
    let truths = pair.left.run(|| connections(other, 5, 200.0, Duration::ZERO));
    let truth = pair.left.run(|| connections(wanted, 1, 200.0, Duration::from_millis(300))).remove(0);
    drop(held);
    let events: Vec<_> = (0..3).map(|_| some.next()).collect();
    assert!(events.iter().all(|event| event["ID"]["DPort"] == wanted.port()), "{events:?}");
    let is_short = |event: &&Value| event["Event"] == "close" && event["ID"]["SPort"] == truth.client.port();
    let short = events.iter().find(is_short).expect("it has ended");
    // SYN and FIN count as a byte each.
    let counted = ["BytesAcked", "BytesReceived"].map(|key| short["Totals"][key].as_u64().expect("a number"));
    assert!((truth.sent..=truth.sent + 2).contains(&counted[0]), "{short}, {truth:?}");
    assert!((truth.received..=truth.received + 2).contains(&counted[1]), "{short}, {truth:?}");
    assert!(short["Duration"].as_f64().is_some_and(|seconds| (0.2..5.0).contains(&seconds)), "{short}");
    let mut seen = 0;
    while seen < truths.len() + 1 {
        seen += usize::from(all.next()["Event"] == "close");
    }
    daemon.stop();
}

/// The kernel destroys a socket when its last descriptor is closed, and that may be long after its connection ended.
#[test]
fn a_connection_closes_though_a_process_keeps_its_descriptor() {
    require_root!();
    let pair = Pair::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, v1] = ["out", "v1"].map(|name| dir.path().join(name));
    let socket = format!("-tcpinfo.eventsocket={}", v1.display());
    let daemon = Daemon::start(pair.left.command(program()), &output, &[&socket]);
    let mut client = Client::connect(&v1);
    let listener = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let address = listener.local_addr().expect("is bound");
    let held = pair.left.run(|| TcpStream::connect(address).expect("connects"));
    assert_eq!(client.next()["Event"], 0);
    let (peer, _) = listener.accept().expect("is connected");
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("is a socket");
    drop(peer); // a reset
    assert_eq!(client.next()["Event"], 1);
    drop(held);
    let ended = daemon.stop();
    assert!(client.is_dropped(), "it closes once");
    assert!(ended.stdout.contains("1 files"), "{}", ended.stdout);
}

/// In a state that is not polled it is not seen, but is there all the same.
#[test]
fn a_connection_in_a_state_that_is_not_polled_is_not_closed() {
    require_root!();
    let pair = Pair::new();
    let server = server(&pair);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, v2] = ["out", "v2"].map(|name| dir.path().join(name));
    let options = [format!("--eventsocket-v2={}", v2.display()), "--include-state=established".to_owned()];
    let daemon = Daemon::start(pair.left.command(program()), &output, &[&options[0], &options[1]]);
    let mut client = Client::ask(&v2, "");
    let listener = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let address = listener.local_addr().expect("is bound");
    let held = pair.left.run(|| TcpStream::connect(address).expect("connects"));
    let (mut peer, _) = listener.accept().expect("is connected");
    let opened = client.next();
    held.shutdown(std::net::Shutdown::Write).expect("is open");
    // One that lasts longer than what is absent is waited for.
    pair.left.run(|| connections(server, 1, 100.0, Duration::from_millis(400)));
    std::io::Write::write_all(&mut peer, &[7; 5000]).expect("is taken");
    drop(peer);
    std::io::Read::read_to_end(&mut &held, &mut Vec::new()).expect("ends");
    drop(held);
    let events: Vec<_> = (0..3).map(|_| client.next()).collect();
    let kinds: Vec<_> = events.iter().map(|event| (&event["Event"], event["UUID"] == opened["UUID"])).collect();
    assert_eq!(kinds, [(&"open".into(), false), (&"close".into(), false), (&"close".into(), true)]);
    assert!(events[2]["Totals"]["BytesReceived"].as_u64() >= Some(5000), "{}", events[2]);
    daemon.stop();
}

/// What a new filter leaves out ends at that moment, and is not heard of again.
#[test]
fn a_filter_that_comes_later_closes_what_it_leaves_out() {
    require_root!();
    let pair = Pair::new();
    let server = server(&pair);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, v2, file] = ["out", "v2", "tcp-info.toml"].map(|name| dir.path().join(name));
    std::fs::write(&file, "").expect("writes");
    let options = [format!("--eventsocket-v2={}", v2.display()), format!("--config={}", file.display())];
    let daemon = Daemon::start(pair.left.command(program()), &output, &[&options[0], &options[1]]);
    let mut client = Client::ask(&v2, "");
    let held = pair.left.run(|| TcpStream::connect(server).expect("connects"));
    let opened = client.next();
    std::fs::write(&file, format!("exclude-dstport = {}", server.port())).expect("writes");
    daemon.signal(rustix::process::Signal::HUP);
    let closed = client.next();
    assert_eq!((&closed["Event"], &closed["UUID"]), (&"close".into(), &opened["UUID"]));
    assert!(closed["Timestamp"].as_str() >= opened["Timestamp"].as_str(), "{closed}");
    // An abort, whose event has lost the port.
    rustix::net::sockopt::set_socket_linger(&held, Some(Duration::ZERO)).expect("is a socket");
    drop(held);
    daemon.stop(); // It looks once more.
    assert!(client.is_dropped(), "nothing else was told");
    assert_eq!(archive::paths(&output).len(), 1);
}

/// Peak resident memory of a process, in kB.
fn peak_memory(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid().as_raw_nonzero())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What a daemon did under a load of connections, while half of its clients read and half never did.
struct UnderLoad {
    /// What each reader was told: whether a connection opens, and its cookie.
    told: Vec<Vec<(bool, u64)>>,
    /// In kB.
    peak_memory: u64,
    /// Poll intervals that files name, as milliseconds.
    intervals: Vec<f64>,
}

impl UnderLoad {
    fn run(clients: usize, rate: usize, seconds: usize) -> Self {
        let pair = Pair::new();
        let servers: Vec<_> = (0..8).map(|_| server(&pair)).collect();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [output, v1] = ["out", "v1"].map(|name| dir.path().join(name));
        let socket = format!("-tcpinfo.eventsocket={}", v1.display());
        let daemon = Daemon::start(pair.left.command(program()), &output, &[&socket]);
        let silent: Vec<_> = (0..clients / 2).map(|_| Client::connect(&v1)).collect();
        let readers: Vec<_> = (0..clients / 2).map(|_| Client::connect(&v1)).collect();
        let (count, each) = (rate * seconds / 8 * 8, rate * seconds / 8);
        let told = std::thread::scope(|scope| {
            let told: Vec<_> =
                readers.into_iter().map(|client| scope.spawn(move || client.opened_and_closed(2 * count))).collect();
            let per_server = rate as f64 / 8.0;
            for &server in &servers {
                let pair = &pair;
                scope.spawn(move || pair.left.run(|| connections(server, each, per_server, Duration::from_millis(20))));
            }
            told.into_iter().map(|told| told.join().expect("no panic")).collect::<Vec<_>>()
        });
        let peak_memory = peak_memory(&daemon);
        daemon.stop();
        drop(silent);
        let intervals = archive::read(&output).into_iter().filter_map(|file| file.metadata.achieved_interval);
        let milliseconds = |text: String| humantime::parse_duration(&text).expect("a time").as_secs_f64() * 1e3;
        Self { told, peak_memory, intervals: intervals.map(milliseconds).collect() }
    }

    /// At a tenth, at half, and at nine tenths of the files.
    fn intervals(&self) -> String {
        let mut sorted = self.intervals.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |tenths: usize| sorted.get(sorted.len() * tenths / 10).copied().unwrap_or(f64::NAN);
        format!("intervals {:.1}, {:.1}, {:.1} ms", at(1), at(5), at(9))
    }
}

impl Client {
    /// Reads so many events: whether a connection opens, and its cookie. The rest of them another test looks at.
    fn opened_and_closed(mut self, count: usize) -> Vec<(bool, u64)> {
        let mut line = String::new();
        let mut next = || {
            line.clear();
            self.0.read_line(&mut line).expect("is told");
            let uuid = line.split_once("\"UUID\":\"").and_then(|(_, rest)| rest.split_once('"'));
            let cookie = uuid.and_then(|(uuid, _)| u64::from_str_radix(&uuid[uuid.len() - 16..], 16).ok());
            (line.starts_with(r#"{"Event":0"#), cookie.unwrap_or_else(|| panic!("{line:?}")))
        };
        (0..count).map(|_| next()).collect()
    }
}

/// The long form has 100 clients and 2,000 connections a second for a minute, and the same without clients to compare.
#[test]
fn clients_that_never_read_cost_the_others_nothing() {
    require_root!();
    let (clients, rate, seconds) = long_or_short((100, 2000, 60), (10, 300, 2));
    if seconds == 60 {
        println!("without clients: {}", UnderLoad::run(0, rate, seconds).intervals());
    }
    let load = UnderLoad::run(clients, rate, seconds);
    let first = &load.told[0];
    assert!(load.told.iter().all(|events| events == first), "all are told the same in the same order");
    let mut open = std::collections::HashSet::new();
    for &(is_open, cookie) in first {
        assert!(if is_open { open.insert(cookie) } else { open.remove(&cookie) }, "{cookie} opens, then closes");
    }
    assert!(open.is_empty());
    assert!(load.peak_memory < 128 << 10, "{} kB", load.peak_memory);
    println!(
        "{clients} clients: {} events to each reader; peak memory {} kB; {}",
        first.len(),
        load.peak_memory,
        load.intervals()
    );
}
