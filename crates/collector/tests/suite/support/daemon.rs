//! The daemon as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `tcp-info`; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

/// How a daemon ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it printed: the summary.
    pub(crate) stdout: String,
    /// Its log.
    pub(crate) log: String,
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

/// Path of the program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_tcp-info")
}

impl Daemon {
    /// Starts `tcp-info` with `args`, as `command` runs it, and waits until it records.
    pub(crate) fn start(command: Command, output: &Path, args: &[&str]) -> Self {
        Self::start_only(command, output, args, " recording ")
    }

    /// The same, and waits until it says that.
    pub(crate) fn start_only(mut command: Command, output: &Path, args: &[&str], says: &str) -> Self {
        let mut child = command
            .arg("--output")
            .arg(output)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    log.text.lock().expect("no panic").push_str(&(line + "\n"));
                    log.grown.notify_all();
                }
            }
        });
        let daemon = Self { child, log, reader: Some(reader) };
        daemon.wait_for_log(says);
        daemon
    }

    /// Waits until the log has `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let log = self.log.text.lock().expect("no panic");
        let (log, timeout) =
            self.log.grown.wait_timeout_while(log, PATIENCE, |log| !log.contains(text)).expect("no panic");
        assert!(!timeout.timed_out(), "the log never said {text:?}:\n{log}");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is running");
    }

    /// Waits for the end.
    /// Stops it, and waits until none of its threads runs.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        let started = Instant::now();
        let is_stopped = |task: &std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        while !std::fs::read_dir(&tasks).expect("it runs").map_while(Result::ok).all(|task| is_stopped(&task)) {
            assert!(started.elapsed() < PATIENCE, "it does not stop");
        }
    }

    pub(crate) fn wait(mut self) -> Ended {
        let mut stdout = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut stdout).expect("text");
        let status = self.child.wait().expect("a child");
        self.reader.take().expect("joined once").join().expect("no panic");
        let log = self.log.text.lock().expect("no panic").clone();
        Ended { status, stdout, log }
    }

    /// Asks for an orderly end, and expects one that lost nothing.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.log);
        assert!(ended.stdout.contains("nothing was lost"), "{}", ended.stdout);
        ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
