//! The exporter as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use netlab::Namespace;
use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

/// A running exporter; killed when dropped.
pub(crate) struct Exporter {
    child: Child,
    lines: Receiver<String>,
    log: String,
}

/// How an exporter ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
    /// From the signal on.
    pub(crate) time: Duration,
}

/// Path of the program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_tcp-stream-exporter")
}

impl Exporter {
    /// Starts it in this namespace, on `veth0` unless told otherwise, and waits until it captures. A small ring will do.
    pub(crate) fn start(namespace: &Namespace, args: &[&str]) -> Self {
        let is_told = args.iter().any(|arg| arg.starts_with("-interface"));
        let interface: &[&str] = if is_told { &[] } else { &["-interface=veth0"] };
        let ring = ["-numblocks=32", "-blocksize=65536"];
        Self::start_as(namespace.command(program()), &[interface, &ring, args].concat())
    }

    /// Starts it by this command, and waits until it captures.
    pub(crate) fn start_as(mut command: Command, args: &[&str]) -> Self {
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut exporter = Self { child, lines, log: String::new() };
        exporter.wait_for_log(" capturing ");
        exporter
    }

    /// Waits until the log has `text`, and returns its line.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.log += &format!("{line}\n");
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("the log never said {text:?}:\n{}", self.log),
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal, and waits for the end.
    pub(crate) fn end_by(mut self, signal: Signal) -> Ended {
        let begin = Instant::now();
        kill_process(self.pid(), signal).expect("it is running");
        let status = self.child.wait().expect("a child");
        let time = begin.elapsed();
        self.log.extend(self.lines.iter().map(|line| line + "\n"));
        Ended { status, log: std::mem::take(&mut self.log), time }
    }

    /// Asks for an orderly end, and expects one.
    pub(crate) fn stop(self) -> String {
        let ended = self.end_by(Signal::TERM);
        assert!(ended.status.success(), "{}", ended.log);
        ended.log
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
