//! kill -9, restarts within one boot, and a lack of descriptors: nothing is overwritten, lost or split.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::support::daemon::{Daemon, program};
use crate::support::traffic::echo_server;
use crate::support::{archive, long_or_short, require_root};
use netlab::Pair;

const FLUSH_AGE: TimeDelta = TimeDelta::milliseconds(500);

/// Ends the exchange, even if a check of the test fails: the scope waits for its thread.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps `count` connections busy while `work` runs.
fn busy<T: Send>(pair: &Pair, count: usize, work: impl FnOnce() -> T + Send) -> T {
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let ended = AtomicBool::new(false);
    pair.left.run(|| {
        let mut streams: Vec<_> = (0..count).map(|_| TcpStream::connect(server).expect("connects")).collect();
        thread::scope(|scope| {
            let exchange = || {
                let mut answer = [0; 2];
                while !ended.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    for stream in &mut streams {
                        stream.write_all(&[7]).expect("sends");
                        stream.read_exact(&mut answer).expect("is answered");
                    }
                    thread::sleep(Duration::from_millis(40).saturating_sub(begin.elapsed()));
                }
            };
            scope.spawn(exchange);
            let _end = EndOnDrop(&ended);
            work()
        })
    })
}

/// The last record of each connection that is on disk, by local address.
fn last_records(output: &Path) -> HashMap<SocketAddr, DateTime<Utc>> {
    let mut last: HashMap<SocketAddr, DateTime<Utc>> = HashMap::new();
    for file in archive::read(output) {
        let time = last.entry(file.ends().0).or_default();
        *time = (*time).max(file.records.last().expect("a record").timestamp.to_utc());
    }
    last
}

fn contents(output: &Path) -> HashMap<PathBuf, Vec<u8>> {
    archive::paths(output).into_iter().map(|path| (path.clone(), fs::read(path).expect("is readable"))).collect()
}

#[test]
fn kill_9_costs_no_record_older_than_the_flush_age() {
    require_root!();
    const CONNECTIONS: usize = 500;
    // What a busy machine may be late.
    let tolerance = TimeDelta::milliseconds(long_or_short(200, 2000));
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let start = || Daemon::start(pair.left.command(program()), output.path(), &["--flush-age", "500ms"]);
    for _ in 0..long_or_short(10, 2) {
        let before = contents(output.path());
        let started = Utc::now();
        let daemon = start();
        let killed = busy(&pair, CONNECTIONS, || {
            thread::sleep(Duration::from_secs(4));
            let killed = Utc::now();
            daemon.signal(Signal::KILL);
            killed
        });
        daemon.wait();
        // The next start finishes what was left.
        start().stop();
        assert_eq!(archive::partials(output.path()), 0);
        archive::zstd_test(output.path());
        let now = contents(output.path());
        assert!(before.iter().all(|(path, content)| now.get(path) == Some(content)), "a finished file has changed");
        let recent = |time: &&DateTime<Utc>| **time >= killed - FLUSH_AGE - tolerance;
        let saved = last_records(output.path());
        let alive = saved.values().filter(|&time| *time > started).collect::<Vec<_>>();
        assert_eq!(alive.len(), CONNECTIONS);
        let late = alive.iter().copied().filter(|time| !recent(time)).count();
        assert_eq!(late, 0, "connections whose records end too early");
    }
}

#[test]
fn a_restart_with_connections_open_goes_on_with_the_next_sequence() {
    require_root!();
    const CONNECTIONS: usize = 50;
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let start = || Daemon::start(pair.left.command(program()), output.path(), &[]);
    busy(&pair, CONNECTIONS, || {
        for round in 1..=3 {
            let before = contents(output.path());
            let daemon = start();
            thread::sleep(Duration::from_millis(300));
            daemon.stop();
            let now = contents(output.path());
            assert_eq!(now.len(), round * CONNECTIONS);
            assert!(before.iter().all(|(path, content)| now.get(path) == Some(content)), "a file was overwritten");
        }
    });
    let mut sequences: HashMap<String, Vec<i64>> = HashMap::new();
    for file in archive::read(output.path()) {
        sequences.entry(file.metadata.uuid).or_default().push(file.metadata.sequence);
    }
    assert_eq!(sequences.len(), CONNECTIONS);
    assert!(sequences.values().all(|sequence| *sequence == [0, 1, 2]));
}

#[test]
fn sixty_four_descriptors_suffice_for_five_hundred_connections() {
    require_root!();
    const CONNECTIONS: usize = 500;
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let mut command = pair.left.command("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", program()]);
    let daemon = Daemon::start(command, output.path(), &["--flush-age", "100ms"]);
    busy(&pair, CONNECTIONS, || thread::sleep(Duration::from_secs(1)));
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), CONNECTIONS);
    assert!(files.iter().all(|file| file.metadata.sequence == 0 && file.records.last().expect("a record").is_final));
}

/// The kernel's sockets are given back first: then there are descriptors for the files.
#[test]
fn no_descriptor_is_needed_to_end_but_those_it_has() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--flush-age", "1h"]);
    pair.left.run(|| {
        let _open: Vec<_> = (0..50).map(|_| TcpStream::connect(server).expect("connects")).collect();
        thread::sleep(Duration::from_millis(100)); // what a poll is to see must be there at one
        allow_no_more_descriptors(daemon.pid());
        daemon.signal(Signal::TERM);
        let ended = daemon.wait();
        assert!(ended.status.success() && !ended.stdout.contains("records lost"), "{}", ended.stdout);
    });
    assert_eq!(archive::paths(output.path()).len(), 50);
}

/// The numbers in use, without a gap that could be filled: how many these are depends on what else was inherited.
fn allow_no_more_descriptors(pid: Pid) {
    let names = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("runs");
    let open: HashSet<u64> =
        names.map(|name| name.expect("is there").file_name().to_str().unwrap().parse().unwrap()).collect();
    let limit = (0..).find(|number| !open.contains(number));
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: limit, maximum: limit }).expect("may be lowered");
}

/// A site may take finished files away: two files must not have one name all the same.
#[test]
fn the_sequence_goes_on_although_finished_files_are_gone() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    busy(&pair, 10, || {
        for round in 0..3 {
            let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
            thread::sleep(Duration::from_millis(200));
            daemon.stop();
            let files = archive::read(output.path());
            assert_eq!(files.len(), 10);
            assert!(files.iter().all(|file| file.metadata.sequence == round), "round {round}");
            files.iter().for_each(|file| fs::remove_file(&file.path).expect("is there"));
        }
    });
}

#[test]
fn two_recorders_do_not_share_a_spool() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let first = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let second = pair.left.command(program()).arg("--output").arg(output.path()).output().expect("starts");
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains("another recorder is using"), "{text}");
    first.stop();
}
