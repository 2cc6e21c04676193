//! Extended statistics (RFC 4898) on the records of their sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

use estats::{Datum, Sample, flags};
use inetdiag::ArchivalRecord;
use inetdiag::attribute::INET_DIAG_SKMEMINFO;
use inetdiag::columns::{Connection, Row};
use netlab::{Namespace, Pair};

use crate::streams::{lose_some, server, transfer, wait_for_files};
use crate::support::archive;
use crate::support::cgroup::{Cgroup, end, place_of_cgroup};
use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::{http, require_root, skipped};

fn sample(record: &ArchivalRecord) -> Sample {
    let connection = Connection::default();
    Sample::of_row(&Row::new(record, &connection))
}

fn number(sample: &Sample, name: &str) -> u64 {
    match sample.get(name) {
        Some(Datum::Number(number)) => number,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn each_record_has_the_value_of_its_moment_and_the_final_one_the_last() {
    require_root!();
    let pair = Pair::new();
    lose_some(&pair);
    let output = tempfile::tempdir().expect("a temporary directory");
    let args = ["--estats=full", "--flush-age", "100ms"];
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &args);
    (5000..5005).for_each(|port| transfer(&pair, server(port), 1_000_000));
    wait_for_files(output.path(), 5);
    let (_, told) = http::get(&pair.left, "/metrics");
    let metric = |name: &str| http::value(&told, &format!("tcpinfo_estats_{name}"));
    assert_eq!(metric("hook_active{hook=\"sock_ops\"}"), Some(1.0));
    assert_eq!(metric("lasts_lost_total"), Some(0.0));
    assert!(metric("lasts_total").is_some_and(|lasts| lasts >= 5.0));
    daemon.stop();

    let mut recoveries = 0;
    for file in archive::read(output.path()) {
        let hooks = file.metadata.estats.as_ref().expect("they were asked for");
        assert!(hooks.len() == 5 && hooks.values().all(|status| status == "active"), "{hooks:?}");
        let mut before = 0;
        for record in &file.records {
            let sample = sample(record);
            let value = sample.value.as_ref().expect("each has its value");
            // A poll may meet the socket while it closes.
            assert!(value.has(flags::CLOSED) || !record.is_final);
            assert!(value.has(flags::FULL) && !value.has(flags::PARTIAL));
            let samples = number(&sample, "PathCountRTT");
            assert!(samples >= before, "{samples} round-trip times after {before}");
            before = samples;
        }
        let last = sample(file.records.last().expect("a record"));
        assert!(file.records.last().is_some_and(|record| record.is_final));
        assert_eq!(number(&last, "PerfHCDataOctetsOut"), 1_000_000 + number(&last, "PerfOctetsRetrans"));
        assert_eq!(last.get("StackActiveOpen"), Some(Datum::Truth(true)));
        recoveries += number(&last, "StackFastRetran") + number(&last, "PerfTimeouts");
        assert!(number(&last, "PerfCongSignals") >= number(&last, "StackFastRetran"));
    }
    assert!(recoveries > 0, "packets were lost");
}

#[test]
fn short_connections_have_their_last_value_without_polls() {
    require_root!();
    const CONNECTIONS: usize = 300;
    let namespace = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let args = ["--estats", "--include-local", "--interval", "off"];
    let daemon = Daemon::start(namespace.command(program()), output.path(), &args);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        for _ in 0..CONNECTIONS {
            let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
            let (mut served, _) = listener.accept().expect("a client");
            client.write_all(b"hello").expect("a connection");
            served.read_exact(&mut [0; 5]).expect("what was written");
            drop(client);
            assert_eq!(served.read(&mut [0]).expect("the end"), 0);
        }
    });
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 2 * CONNECTIONS);
    for file in &files {
        let last = sample(file.records.last().expect("a record"));
        let value = last.value.as_ref().expect("it has its value");
        assert!(value.has(flags::CLOSED) && !value.has(flags::FULL));
        assert_eq!(last.get("PathIpTtl"), None, "that takes segments");
    }
}

#[test]
fn records_of_what_was_asked_for_singly_have_values_too() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let args = ["--estats", "--attributes", "lean", "--flush-age", "100ms"];
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &args);
    let listener = pair.right.run(|| TcpListener::bind(server(5001))).expect("the port is free");
    let mut client = pair.left.run(|| TcpStream::connect(server(5001))).expect("somebody listens");
    let (mut served, _) = listener.accept().expect("a client");
    // A poll is to see it before it ends.
    let begin = Instant::now();
    while http::value(&http::get(&pair.left, "/metrics").1, "tcpinfo_open_connections") != Some(1.0) {
        assert!(begin.elapsed() < PATIENCE, "no poll saw it");
    }
    client.write_all(b"hello").expect("a connection");
    served.read_exact(&mut [0; 5]).expect("what was written");
    drop((client, served));
    wait_for_files(output.path(), 1);
    daemon.stop();
    let [file] = &archive::read(output.path())[..] else { panic!("there was one connection") };
    assert!(file.records.len() >= 2, "{}", file.records.len());
    let asked_for_singly = file.records[0].attributes.get(INET_DIAG_SKMEMINFO).is_some();
    assert!(asked_for_singly, "a poll in part does not bring that");
    assert!(file.records.iter().all(|record| record.estats.is_some()));
}

#[test]
fn who_may_not_load_programs_records_without_them() {
    require_root!();
    let namespace = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let mut command = namespace.command("setpriv");
    command.args(["--bounding-set=-bpf,-sys_admin", "--inh-caps=-all"]).arg(program());
    let daemon = Daemon::start(command, output.path(), &["--estats", "--include-local"]);
    namespace.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
        let served = listener.accept().expect("a client");
        drop((client, served));
    });
    let (_, told) = http::get(&namespace, "/metrics");
    for (hook, expected) in [("sock_ops", Some(0.0)), ("iter/tcp", Some(0.0)), ("cgroup_skb/ingress", None)] {
        assert_eq!(http::value(&told, &format!("tcpinfo_estats_hook_active{{hook=\"{hook}\"}}")), expected, "{hook}");
    }
    let log = daemon.stop().log;
    assert!(log.contains("without extended statistics") && log.contains("CAP_BPF"), "{log}");
    let files = archive::read(output.path());
    // Two of them, or also those of who asked for metrics.
    assert!(files.len() >= 2);
    for file in files {
        let hooks = file.metadata.estats.as_ref().expect("they were asked for");
        assert!(hooks["sock_ops"].starts_with("unavailable: "), "{hooks:?}");
        assert_eq!((hooks.len(), hooks["cgroup_skb/egress"].as_str()), (5, "not asked for"));
        assert!(file.records.iter().all(|record| record.estats.is_none()));
    }
}

/// As in a container with the network of the host: sockets of the namespace are seen, and those of other cgroups are not heard of.
#[test]
fn what_is_in_no_cgroup_of_ours_is_absent_and_not_zero() {
    require_root!();
    let Some((mount, _)) = place_of_cgroup() else { return skipped("no cgroup can be made here") };
    let Some(cgroup) = Cgroup::new("-part") else { return skipped("no cgroup can be made here") };
    // That of busybox does not.
    if !Command::new("unshare").args(["--cgroup", "true"]).status().is_ok_and(|status| status.success()) {
        return skipped("unshare makes no cgroup namespaces here");
    }
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let listener = pair.right.run(|| TcpListener::bind(server(5000))).expect("the port is free");
    let mut outside = pair.left.run(|| TcpStream::connect(server(5000))).expect("somebody listens");
    let (mut served, _) = listener.accept().expect("a client");
    let port_outside = outside.local_addr().expect("is bound").port();
    let inside = cgroup.connected(&pair, server(5000));

    let script = format!(
        "echo $$ > {}/cgroup.procs && exec nsenter --net=/run/netns/{} unshare --cgroup --mount \
         bash -c 'umount -R {} && exec \"$0\" \"$@\"' \"$0\" \"$@\"",
        cgroup.0.display(),
        pair.left.name,
        mount.display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, program()]);
    let daemon = Daemon::start(command, output.path(), &["--estats=full", "--flush-age", "100ms"]);
    let started = Instant::now();
    while http::value(&http::get(&pair.left, "/metrics").1, "tcpinfo_polls_total{af=\"ipv4\"}") == Some(0.0) {
        assert!(started.elapsed() < PATIENCE, "it never polled");
    }
    for _ in 0..20 {
        outside.write_all(&[7; 1000]).expect("a connection");
        served.read_exact(&mut [0; 1000]).expect("what was written");
        served.write_all(&[7; 10]).expect("a connection");
        outside.read_exact(&mut [0; 10]).expect("what was written");
    }
    drop((outside, served));
    end(inside);
    wait_for_files(output.path(), 2);
    daemon.stop();
    for file in archive::read(output.path()) {
        let hooks = file.metadata.estats.as_ref().expect("they were asked for");
        assert!(hooks["sock_ops"].starts_with("active in part"), "{hooks:?}");
        let is_outside = file.ends().0.port() == port_outside;
        // The last value of what is outside never comes.
        let known = file.records.iter().map(sample).rfind(|sample| sample.value.is_some()).expect("was taken in");
        assert!(known.value.is_some_and(|value| value.has(flags::PARTIAL)));
        // Before Linux 6.12 callbacks of what was open cannot be switched on: the last value is one.
        let is_heard = !is_outside && kernel_release(&file) >= (6, 12);
        for name in ["PathCountRTT", "PerfTimeouts", "PerfHCDataOctetsIn", "StackSACKsRcvd"] {
            assert_eq!(known.get(name).is_some(), is_heard, "{name}");
        }
    }
}

fn kernel_release(file: &archive::ArchiveFile) -> (u32, u32) {
    let text = file.metadata.kernel_release.as_deref().expect("is told");
    let mut numbers = text.split('.').map(|number| number.parse().expect("a number"));
    (numbers.next().expect("is there"), numbers.next().expect("is there"))
}
