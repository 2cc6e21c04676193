//! `tcp-info estats`: what it shows of connections and listeners, live.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use netlab::Namespace;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::daemon::{PATIENCE, program};
use crate::support::require_root;

/// The command, and what it writes.
struct Live {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Live {
    fn start(mut command: Command, args: &[&str]) -> Self {
        command.args(["estats", "--interval", "20ms"]).args(args).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// The next line that is meant.
    fn line(&mut self, is_meant: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let line = self.lines.next().expect("it goes on").expect("text");
            if is_meant(&line) {
                return line;
            }
        }
        panic!("there never was such a line");
    }

    fn json(&mut self, is_meant: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        parse(&self.line(|line| is_meant(&parse(line))))
    }

    /// Tells it to stop, which it does.
    fn stop(mut self) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(pid, Signal::TERM).expect("it runs");
        self.lines.for_each(drop);
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// A client that has sent so much, and the other end, which has it.
fn connection(listener: &TcpListener, bytes: usize) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
    let (mut served, _) = listener.accept().expect("a client");
    client.write_all(&vec![7; bytes]).expect("a connection");
    served.read_exact(&mut vec![0; bytes]).expect("what was written");
    (client, served)
}

#[test]
fn connections_and_listeners_are_shown_while_they_are_and_at_their_end() {
    require_root!();
    let namespace = Namespace::new();
    let listener = namespace.run(|| TcpListener::bind("127.0.0.1:0")).expect("binds");
    let listening = listener.local_addr().expect("bound").to_string();
    let before = namespace.run(|| connection(&listener, 10));
    let mut live = Live::start(namespace.command(program()), &["--json", "--full"]);

    let told = live.json(|line| line["State"] == "LISTEN");
    assert_eq!(told["Local"], Value::from(&*listening));
    assert_eq!(told["Listener"]["CurConns"], 1);
    let port = |stream: &TcpStream| stream.local_addr().expect("bound").to_string();
    let told = live.json(|line| line["Local"] == port(&before.0));
    assert_eq!((&told["Partial"], &told["State"]), (&Value::from(true), &Value::from("ESTABLISHED")));

    let open = namespace.run(|| connection(&listener, 1000));
    let told = live.json(|line| line["Local"] == port(&open.0));
    assert_eq!((&told["Partial"], &told["Ended"]), (&Value::from(false), &Value::from(false)));
    assert_eq!(told["Remote"], Value::from(&*listening));
    assert_eq!((&told["Perf"]["HCDataOctetsOut"], &told["Path"]["IpTtl"]), (&Value::from(1000), &Value::from(64)));
    assert_eq!((&told["Stack"]["ActiveOpen"], &told["App"]["CurAppWQueue"]), (&Value::from(true), &Value::from(0)));
    let smoothed = told["Perf"]["SmoothedRTT"].as_f64().expect("a number");
    assert!(smoothed > 0.0 && smoothed < 1000.0, "{smoothed} ms");

    let short = namespace.run(|| connection(&listener, 10));
    let (client, server) = (port(&short.0), port(&short.1));
    drop(short);
    let told = live.json(|line| line["Local"] == *client && line["Ended"] == true);
    assert_eq!((&told["Remote"], &told["State"]), (&Value::from(server), &Value::from("CLOSE")));
    assert_eq!(told["Perf"]["DataOctetsOut"], 10);
    assert!(told["Path"]["CountRTT"].as_u64() > Some(0), "{told}");

    // The kernel clears the counters of what is aborted: those of the last look are shown.
    let client = port(&open.0);
    set_socket_linger(&open.0, Some(Duration::ZERO)).expect("is set");
    drop(open);
    let told = live.json(|line| line["Local"] == *client && line["Ended"] == true);
    assert_eq!((&told["Remote"], &told["Perf"]["HCDataOctetsOut"]), (&Value::from(&*listening), &Value::from(1000)));

    // A listener that is closed has not been a connection.
    drop(listener);
    let last = namespace.run(|| TcpListener::bind("127.0.0.1:0")).expect("binds");
    drop(namespace.run(|| connection(&last, 10)));
    live.json(|line| {
        assert_ne!((&line["Remote"], &line["Ended"]), (&Value::from("0.0.0.0:0"), &Value::from(true)), "{line}");
        line["Ended"] == true && line["Perf"]["DataOctetsOut"] == 10
    });
    live.stop();
}

/// The ring of last values has room for some 20,000, whosever they are.
#[test]
fn what_ends_elsewhere_takes_no_room_from_what_is_shown() {
    require_root!();
    let [elsewhere, namespace] = [Namespace::new(), Namespace::new()];
    let listener = namespace.run(|| TcpListener::bind("127.0.0.1:0")).expect("binds");
    let mut live = Live::start(namespace.command(program()), &["--json"]);
    live.json(|line| line["State"] == "LISTEN");
    elsewhere.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        (0..12_000).for_each(|_| drop(connection(&listener, 1)));
    });
    drop(namespace.run(|| connection(&listener, 10)));
    let told = live.json(|line| line["Ended"] == true && line["Perf"]["DataOctetsOut"] == 10);
    assert_eq!(told["Partial"], false, "it has its last value");
    live.stop();
}

#[test]
fn people_get_tables_of_what_they_choose() {
    require_root!();
    let namespace = Namespace::new();
    let listener = namespace.run(|| TcpListener::bind("[::1]:0")).expect("binds");
    let open = namespace.run(|| connection(&listener, 10));
    let (from, to) = [&open.0, &open.1].map(|stream| stream.local_addr().expect("bound").port()).into();
    let args = ["--table", "app,listener", "--include-dstport", &to.to_string()];
    let mut live = Live::start(namespace.command(program()), &args);
    assert!(live.line(|line| line.contains(" open, ")).contains("  1 connections open, 0 ended"));
    live.line(|line| {
        line == format!("[::1]:{from} > [::1]:{to}  ESTABLISHED  {:016X}  counted in part", cookie(&open.0))
    });
    assert_eq!(live.line(|line| line.starts_with("  ")), "  App");
    live.line(|line| line.contains(" ThruOctetsAcked 11 octets"));
    live.stop();
}

fn cookie(stream: &TcpStream) -> u64 {
    rustix::net::sockopt::socket_cookie(stream).expect("it has one")
}

#[test]
fn without_privileges_what_polls_tell_is_shown() {
    require_root!();
    let namespace = Namespace::new();
    let listener = namespace.run(|| TcpListener::bind("127.0.0.1:0")).expect("binds");
    let _open = namespace.run(|| connection(&listener, 1000));
    let mut command = namespace.command("setpriv");
    command.args(["--bounding-set=-bpf,-sys_admin", "--inh-caps=-all"]).arg(program());
    let mut live = Live::start(command, &["--json"]);
    let told = live.json(|line| line["Perf"]["HCDataOctetsOut"] == 1000);
    assert_eq!((told.get("Partial"), told["Path"].get("CountRTT")), (None, None));
    live.stop();
}

#[test]
fn it_ends_with_its_last_look_or_its_reader() {
    require_root!();
    let namespace = Namespace::new();
    let _listener = namespace.run(|| TcpListener::bind("127.0.0.1:0")).expect("binds");
    let live = Live::start(namespace.command(program()), &["--json", "--reps", "3"]);
    assert_eq!(live.lines.count(), 3);
    let Live { mut child, mut lines } = Live::start(namespace.command(program()), &["--json"]);
    lines.next().expect("a line").expect("text");
    drop(lines);
    assert!(child.wait().expect("it ends").success(), "nobody reads it any more");
}
