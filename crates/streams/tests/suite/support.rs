//! A path between two namespaces, transfers over it, and captures of them.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netlab::Namespace;
use rustix::process::{Pid, Signal, kill_process};
use streams::analysis::Report;
use streams::table::{Limits, Table};
use tempfile::TempDir;

pub(crate) const PORT: u16 = 5001;
const RELAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/relay.py");
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether tests can make namespaces and have these programs. Says so if not.
pub(crate) fn can_run(programs: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: this test makes network namespaces, which takes root");
        return false;
    }
    let is_there = |program: &str| Command::new("which").arg(program).output().is_ok_and(|it| it.status.success());
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {missing:?}");
    }
    missing.is_empty()
}

/// Waits until something is so.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Two namespaces with a path between them: 10.78.0.1 and fd78::1 on the left, .2 and ::2 on the right.
pub(crate) struct Lab {
    pub(crate) left: Namespace,
    pub(crate) right: Namespace,
    relay: Child,
}

impl Lab {
    /// A path of this delay each way, with these rules of `relay.py`.
    pub(crate) fn new(delay_ms: u32, rules: &[&str]) -> Self {
        let (left, right) = (Namespace::new(), Namespace::new());
        let mut relay = Command::new("python3")
            .args([RELAY, &left.name, &right.name, &delay_ms.to_string()])
            .args(rules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut ready = String::new();
        let _ = BufReader::new(relay.stdout.take().expect("is piped")).read_line(&mut ready);
        assert_eq!(ready, "ready\n", "the relay has begun");
        Self { left, right, relay }
    }

    /// Sets something below `net.ipv4` on both sides.
    pub(crate) fn sysctl(self, name: &str, value: &str) -> Self {
        for side in [&self.left, &self.right] {
            side.output("sysctl", &["-qw", &format!("net.ipv4.{name}={value}")]);
        }
        self
    }

    /// The right side, in IPv4 or IPv6.
    pub(crate) fn server(is_ipv6: bool) -> SocketAddr {
        let address: IpAddr = if is_ipv6 { "fd78::2" } else { "10.78.0.2" }.parse().expect("is an address");
        SocketAddr::new(address, PORT)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.relay.kill();
        let _ = self.relay.wait();
    }
}

/// Packets that go by an interface of the left side, as `tcpdump` writes them.
pub(crate) struct Capture {
    tcpdump: Child,
    pub(crate) file: PathBuf,
    _directory: TempDir,
}

impl Capture {
    pub(crate) fn start(side: &Namespace, interface: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("packets.pcap");
        let mut tcpdump = side
            .command("tcpdump")
            .args(["-i", interface, "-s", "200", "-B", "32768", "-U", "--immediate-mode", "--nano", "-Z", "root", "-w"])
            .arg(&file)
            .arg("tcp")
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcpdump starts");
        let mut told = BufReader::new(tcpdump.stderr.take().expect("is piped"));
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(told.read_line(&mut line).is_ok_and(|len| len > 0), "tcpdump ended");
        }
        Self { tcpdump, file, _directory: directory }
    }

    /// The streams there are so far, from the left and from the right, of one connection.
    pub(crate) fn reports(&self) -> Option<[Report; 2]> {
        let mut reports = reports(&self.file);
        reports.sort_by_key(|report| report.flow.destination.port != PORT);
        reports.try_into().ok()
    }

    /// Waits until the streams are so, and ends. What has come is in the file.
    pub(crate) fn finish(&mut self, what: &str, is_so: impl Fn(&[Report; 2]) -> bool) -> [Report; 2] {
        let reports = wait_for(what, || self.reports().filter(&is_so));
        let _ = kill_process(Pid::from_child(&self.tcpdump), Signal::INT);
        let _ = self.tcpdump.wait();
        reports
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// All streams of a capture file.
pub(crate) fn reports(file: &std::path::Path) -> Vec<Report> {
    let mut table = Table::new(Limits::NONE);
    let mut last = 0;
    let (_, _) = streams::file::read(File::open(file).expect("is there"), |frame| {
        last = last.max(frame.time);
        table.frame(frame, |_| panic!("one connection"));
    });
    (0..table.end() as u32).filter_map(|number| table.get(number)).flat_map(|it| it.reports(last)).collect()
}

/// What the kernel knows of an end of a connection.
pub(crate) struct Kernel(String);

impl Kernel {
    fn look(side: &Namespace) -> Self {
        Self(side.output("ss", &["-tinH", "state", "established"]))
    }

    /// A number that `ss` prints behind this name; 0 where it prints none, which is how it prints 0.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self.0.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.rsplit('/').next()?.parse().ok()).unwrap_or(0)
    }

    fn is_quiet(&self) -> bool {
        !self.0.is_empty() && self.number("unacked") == 0 && self.number("notsent") == 0
    }
}

/// A connection over which everything has been sent and acknowledged, and both ends as the kernel sees them.
pub(crate) struct Quiet {
    pub(crate) left: Kernel,
    pub(crate) right: Kernel,
    /// Both ends: dropped, they close.
    _sockets: [TcpStream; 2],
}

/// Sends so many bytes from the left to the right, which answers when it has them.
pub(crate) fn transfer(lab: &Lab, server: SocketAddr, bytes: usize) -> Quiet {
    let (client, served) = connect(lab, server);
    std::thread::scope(|scope| {
        let mut receiving = &served;
        scope.spawn(move || {
            receiving.read_exact(&mut vec![0; bytes]).expect("all of it");
            receiving.write_all(b"thanks").expect("the client waits for it");
        });
        (&client).write_all(&vec![7; bytes]).expect("it is read");
        (&client).read_exact(&mut [0; 6]).expect("an answer");
    });
    settle(lab, [client, served])
}

/// A connection from the left to the right.
pub(crate) fn connect(lab: &Lab, server: SocketAddr) -> (TcpStream, TcpStream) {
    let listener = lab.right.run(|| TcpListener::bind(server)).expect("the port is free");
    let client = lab.left.run(|| TcpStream::connect(server)).expect("somebody listens");
    (client, listener.accept().expect("a client").0)
}

/// Waits until everything is acknowledged, and nothing is under way any more: what was sent twice arrives later than its
/// acknowledgement may.
pub(crate) fn settle(lab: &Lab, sockets: [TcpStream; 2]) -> Quiet {
    let mut before = None;
    let (left, right) = wait_for("everything to be acknowledged", || {
        let [left, right] = [&lab.left, &lab.right].map(Kernel::look);
        let segments = [&left, &right].map(|end| ["segs_in", "segs_out"].map(|name| end.number(name)));
        let is_still = before.replace(segments) == Some(segments);
        (left.is_quiet() && right.is_quiet() && is_still).then_some((left, right))
    });
    Quiet { left, right, _sockets: sockets }
}
