//! What was on the wire, as tcpdump captures it and tshark takes it apart.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use netlab::Namespace;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Pid, Signal, kill_process};

use super::traffic::{LEFT, RIGHT};
use super::wait_until;

/// Ends the test where these programs are not installed.
macro_rules! require {
    ($($program:literal),*) => {
        for program in [$($program),*] {
            if std::process::Command::new(program).arg("--version").output().is_err() {
                eprintln!("skipped: {program} is not installed");
                return;
            }
        }
    };
}

pub(crate) use require;

/// A capture that runs.
#[derive(Debug)]
pub(crate) struct Capture {
    tcpdump: Child,
    file: tempfile::NamedTempFile,
    namespace: String,
}

/// Ports of a SYN that is sent when all else was: once it is captured, all is.
const MARKER: [u16; 2] = [0xbeef, 0xbabe];

/// A segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Segment {
    /// Seconds since 1970.
    pub(crate) time: f64,
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// CWR ECE URG ACK PSH RST SYN FIN
    pub(crate) flags: u16,
    /// As it is in the header.
    pub(crate) window: u32,
    pub(crate) payload: u32,
    pub(crate) mss: Option<u32>,
    pub(crate) wscale: Option<i64>,
    pub(crate) sack_blocks: u32,
    /// How far SACK blocks reach beyond the acknowledgement.
    pub(crate) sacked: u32,
    /// Tshark takes it for a duplicate acknowledgement.
    pub(crate) is_duplicate_ack: bool,
}

pub(crate) const SYN: u16 = 2;
pub(crate) const ACK: u16 = 16;
pub(crate) const ECE: u16 = 64;

impl Segment {
    pub(crate) fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }
}

impl Capture {
    /// Captures the TCP segments of `veth0` of the left side of a pair.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut command = namespace.command("tcpdump");
        command.args(["-Z", "root", "-i", "veth0", "-s", "160", "-B", "32768", "--immediate-mode", "-U", "-w"]);
        command.arg(file.path()).arg("tcp").stderr(Stdio::piped());
        let mut tcpdump = command.spawn().expect("tcpdump starts");
        let mut lines = BufReader::new(tcpdump.stderr.take().expect("is piped")).lines();
        assert!(lines.any(|line| line.expect("text").contains("listening on")), "tcpdump listens");
        // What it says at its end must not find a closed pipe.
        thread::spawn(move || lines.for_each(drop));
        Self { tcpdump, file, namespace: namespace.name.clone() }
    }

    /// Ends the capture and takes it apart.
    pub(crate) fn finish(mut self) -> Vec<Segment> {
        thread::scope(|scope| {
            scope.spawn(|| mark(&self.namespace));
        });
        let marker = MARKER.map(u16::to_be_bytes).concat();
        wait_until("the marker is captured", || {
            let captured = std::fs::read(self.file.path()).expect("is there");
            captured.windows(marker.len()).any(|bytes| bytes == marker)
        });
        let process = Pid::from_child(&self.tcpdump);
        kill_process(process, Signal::INT).expect("is told to end");
        assert!(self.tcpdump.wait().expect("ends").success());
        let fields = [
            "frame.time_epoch",
            "tcp.srcport",
            "tcp.dstport",
            "ip.ttl",
            "ipv6.hlim",
            "ip.dsfield",
            "ipv6.tclass",
            "tcp.seq_raw",
            "tcp.ack_raw",
            "tcp.flags",
            "tcp.window_size_value",
            "tcp.len",
            "tcp.options.mss_val",
            "tcp.options.wscale.shift",
            "tcp.options.sack.count",
            "tcp.analysis.duplicate_ack",
            "tcp.options.sack_re",
        ];
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(self.file.path()).args(["-o", "tcp.relative_sequence_numbers:false", "-T", "fields"]);
        fields.iter().for_each(|field| {
            tshark.args(["-e", field]);
        });
        let output = tshark.output().expect("tshark starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .map(segment)
            .filter(|s| !MARKER.contains(&s.to))
            .collect()
    }
}

/// Knocks at the other side's port of the marker, where nobody is.
fn mark(namespace: &str) {
    netlab::enter(namespace);
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("opens");
    bind(&socket, &SocketAddr::new(LEFT, MARKER[0])).expect("is free");
    connect(&socket, &SocketAddr::new(RIGHT, MARKER[1])).expect_err("nobody is there");
}

fn segment(line: &str) -> Segment {
    let fields: Vec<_> = line.split('\t').collect();
    let number = |at: usize| {
        let text = fields[at];
        match text.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let either = |one: usize, other: usize| number(one).or_else(|| number(other)).expect("is there") as u8;
    let due = |at: usize| number(at).unwrap_or_else(|| panic!("field {at} of {line:?}"));
    let sacked = |edge: u32| edge.wrapping_sub(due(8) as u32) as i32;
    let sacked = |edge| u32::try_from(sacked(edge)).unwrap_or(0);
    Segment {
        time: fields[0].parse().expect("a time"),
        from: due(1) as u16,
        to: due(2) as u16,
        ttl: either(3, 4),
        tos: either(5, 6),
        seq: due(7) as u32,
        ack: due(8) as u32,
        flags: due(9) as u16,
        window: due(10) as u32,
        payload: due(11) as u32,
        mss: number(12).map(|mss| mss as u32),
        wscale: number(13),
        sack_blocks: number(14).unwrap_or(0) as u32,
        sacked: fields[16].split(',').filter_map(|edge| edge.parse::<u32>().ok()).map(sacked).max().unwrap_or(0),
        is_duplicate_ack: !fields[15].is_empty(),
    }
}

/// Segments that the owner of this end sent, of its connection, and those that it received.
pub(crate) fn of(segments: &[Segment], end: &TcpStream) -> (Vec<Segment>, Vec<Segment>) {
    let local = end.local_addr().expect("has one").port();
    let peer = end.peer_addr().expect("has one").port();
    let between = |from, to| segments.iter().filter(|s| s.from == from && s.to == to).cloned().collect();
    (between(local, peer), between(peer, local))
}
