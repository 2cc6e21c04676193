//! Two network namespaces and the processes in them.
//!
//! Processes of the lab are this program again, in a namespace: it moves there, asks to die with its parent, and plays
//! its part or becomes the recorder. So nothing is left behind, however the benchmark ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Subcommand;
use netlab::Pair;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::{floor, traffic};

/// Address of the side that is not recorded.
const SERVER: [u8; 4] = [10, 77, 0, 2];
const FIRST_PORT: u16 = 7000;

/// A part that a process of the lab plays, in the namespace `place`.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// Takes connections
    Serve { place: String, address: SocketAddr },
    /// Opens connections, holds them, and sends messages
    Hold { place: String, server: SocketAddr, count: usize, rate: f64, size: usize },
    /// Opens connections, and sends as fast as they are taken; some end at once every so many milliseconds
    Bulk { place: String, server: SocketAddr, count: usize, size: usize, ending: usize, every_ms: u64 },
    /// Opens and closes connections, to several servers in turn
    Churn { place: String, count: usize, rate: f64, servers: Vec<SocketAddr> },
    /// Dumps all sockets at an interval, and does nothing with them
    Floor { place: String, interval_us: u64, seconds: f64 },
    /// Becomes another program
    Exec { place: String, program: PathBuf, arguments: Vec<String> },
}

impl Part {
    /// Plays it, until the parent ends it.
    pub(crate) fn play(self) -> anyhow::Result<()> {
        let (Self::Serve { place, .. }
        | Self::Hold { place, .. }
        | Self::Bulk { place, .. }
        | Self::Churn { place, .. }
        | Self::Floor { place, .. }
        | Self::Exec { place, .. }) = &self;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        netlab::enter(place);
        if !matches!(self, Self::Exec { .. }) {
            let limit = getrlimit(Resource::Nofile);
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
        }
        match self {
            Self::Serve { address, .. } => traffic::serve(address),
            Self::Hold { server, count, rate, size, .. } => traffic::hold(server, count, rate, size),
            Self::Bulk { server, count, size, ending, every_ms, .. } => {
                traffic::bulk(server, count, size, ending, Duration::from_millis(every_ms))
            }
            Self::Churn { count, rate, servers, .. } => traffic::churn(&servers, count, rate),
            Self::Floor { interval_us, seconds, .. } => floor::dump_loop(interval_us, seconds),
            Self::Exec { program, arguments, .. } => {
                Err(Command::new(&program).args(arguments).exec()).with_context(|| program.display().to_string())
            }
        }
    }
}

/// The namespaces, and whether the user wants to end.
pub(crate) struct Lab {
    pair: Pair,
    interrupted: Arc<AtomicBool>,
    next_port: u16,
}

/// A process of the lab. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Lab {
    pub(crate) fn new() -> anyhow::Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "network namespaces take root");
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let pair = Pair::new();
        for side in [&pair.left, &pair.right] {
            for setting in ["net.core.somaxconn=20000", "net.ipv4.tcp_max_syn_backlog=20000"] {
                side.output("sysctl", &["-qw", setting]);
            }
            side.output("sysctl", &["-qw", "net.ipv4.ip_local_port_range=10000 65000"]);
        }
        Ok(Self { pair, interrupted, next_port: FIRST_PORT })
    }

    /// Starts a server, and returns where it listens.
    pub(crate) fn server(&mut self) -> anyhow::Result<(Process, SocketAddr)> {
        let address = SocketAddr::from((SERVER, self.next_port));
        self.next_port += 1;
        let mut server = Process::start(Command::new(this_program()?).args([
            "part",
            "serve",
            &self.pair.right.name,
            &address.to_string(),
        ]))?;
        server.expect("ready")?;
        Ok((server, address))
    }

    /// Starts a process on the side that is recorded.
    pub(crate) fn client(&self, part: &str, arguments: &[String]) -> anyhow::Result<Process> {
        Process::start(Command::new(this_program()?).args(["part", part, &self.pair.left.name]).args(arguments))
    }

    /// Waits, unless the user wants to end.
    pub(crate) fn pass(&self, time: Duration) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
            thread::sleep((time - begin.elapsed().min(time)).min(Duration::from_millis(50)));
        }
        Ok(())
    }

    /// Does something on the recorded side.
    pub(crate) fn on_recorded_side<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pair.left.run(work)
    }

    /// Has both sides send each segment as a packet of its own.
    pub(crate) fn cut_segments(&self) {
        for side in [&self.pair.left, &self.pair.right] {
            side.ip(&["link", "set", "veth0", "gso_max_segs", "1"]);
        }
    }

    /// Bytes and packets that have passed the interface of the recorded side, both ways.
    pub(crate) fn passed(&self) -> anyhow::Result<[u64; 2]> {
        let text = self.pair.left.output("cat", &["/proc/net/dev"]);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("veth0:")).context("no veth0")?;
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
        Ok([number(0) + number(8), number(1) + number(9)])
    }

    /// All sockets of the recorded side by state, as `ss` counts them.
    pub(crate) fn states(&self) -> [(&'static str, usize); 11] {
        self.pair.left.sockets_by_state()
    }

    /// Sockets in a state, as `ss` counts them on the recorded side.
    pub(crate) fn sockets(&self, state: &str) -> usize {
        self.pair.left.output("ss", &["-tanH", "state", state]).lines().count()
    }
}

fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program")
}

impl Process {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a process of the lab")?;
        let stdout = BufReader::new(child.stdout.take().context("has no output")?);
        Ok(Self { stdin: child.stdin.take(), stdout, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that begins with `word`, and returns what follows.
    pub(crate) fn expect(&mut self, word: &str) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let rest = line.strip_prefix(word).with_context(|| format!("a process said {line:?}, and not {word:?}"))?;
        Ok(rest.trim().to_owned())
    }

    /// Tells it to go on.
    pub(crate) fn go(&mut self) -> anyhow::Result<()> {
        Ok(self.stdin.as_mut().context("is closed")?.write_all(b"\n")?)
    }

    /// Sends SIGTERM, waits for the end, and returns what it printed.
    pub(crate) fn terminate(mut self) -> anyhow::Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a process ended with {status}: {text}");
        Ok(text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
