//! Without root: it runs, says what it cannot see, and counts what it loses.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, require_root};
use netlab::Namespace;

/// The daemon as nobody, without any capability.
fn as_nobody(host: &Namespace) -> (tempfile::TempDir, Command) {
    let output = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(output.path(), fs::Permissions::from_mode(0o777)).expect("is ours");
    // The build directory may not be open to others.
    let copy = output.path().join("tcp-info");
    fs::copy(program(), &copy).expect("copies");
    let mut command = host.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    command.arg(copy);
    (output, command)
}

#[test]
fn nobody_records_all_connections_and_is_told_what_is_missing() {
    require_root!();
    let host = Namespace::new();
    let (directory, command) = as_nobody(&host);
    let output = directory.path().join("archive");
    let daemon = Daemon::start(command, &output, &["--include-local"]);
    let truths = host.run(|| {
        let server = echo_server(TcpListener::bind("127.0.0.1:0").expect("binds"));
        connections(server, 100, 200.0, Duration::from_millis(30))
    });
    let ended = daemon.stop();
    let warnings: Vec<_> = ended.log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{}", ended.log);
    assert!(warnings[0].contains("CAP_NET_ADMIN"));
    let files = archive::read(&output);
    assert_eq!(files.len(), 2 * truths.len());
    assert!(files.iter().all(|file| file.last().mark.is_none()));
}

/// Those of connections that polls saw are missed when no poll sees these any more.
#[test]
fn dropped_destroy_events_are_counted_and_told() {
    require_root!();
    let host = Namespace::new();
    let (directory, command) = as_nobody(&host);
    let output = directory.path().join("archive");
    let daemon = Daemon::start(command, &output, &["--include-local", "--destroy-buffer", "65536"]);
    host.run(|| {
        let server = echo_server(TcpListener::bind("127.0.0.1:0").expect("binds"));
        let seen: Vec<_> = (0..20).map(|_| TcpStream::connect(server).expect("connects")).collect();
        std::thread::sleep(Duration::from_millis(100)); // what a poll is to see must be there at one
        daemon.pause();
        connections(server, 500, 2000.0, Duration::ZERO);
        drop(seen);
    });
    // Both ends are to die while nobody takes events.
    let begin = Instant::now();
    while !host.output("ss", &["-tnH"]).is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the server does not close");
    }
    daemon.signal(Signal::CONT);
    daemon.wait_for_log("the kernel dropped destroy events");
    daemon.wait_for_log("its deadlines are passed over");
    let begin = Instant::now();
    let without_event =
        || archive::read(&output).iter().filter(|file| !file.records[file.records.len() - 1].is_final).count();
    while without_event() < 20 {
        assert!(begin.elapsed() < PATIENCE, "{} files without their event", without_event());
    }
    daemon.signal(Signal::TERM);
    let ended = daemon.wait();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(ended.stdout.contains("times the kernel dropped destroy events"), "{}", ended.stdout);
    assert!(archive::paths(&output).len() < 1040);
}

#[test]
fn a_directory_that_cannot_be_written_is_one_clear_line() {
    require_root!();
    let host = Namespace::new();
    let (directory, mut command) = as_nobody(&host);
    let locked = directory.path().join("locked");
    fs::create_dir(&locked).expect("creates");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("is ours");
    let ended = command.arg("--output").arg(&locked).output().expect("starts");
    assert_eq!(ended.status.code(), Some(1));
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(&*locked.to_string_lossy()) && text.contains("may write to it"), "{text}");
}
