//! A connection over time: records while it moves, none while it rests, the totals at the end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use inetdiag::Snapshot;

use crate::support::daemon::{Daemon, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, long_or_short, require_root};
use netlab::Pair;

#[test]
fn records_come_at_the_interval_while_data_moves_and_not_while_it_rests() {
    require_root!();
    let moving = Duration::from_secs(long_or_short(60, 2));
    const INTERVAL: Duration = Duration::from_millis(20);
    const RESTING: Duration = Duration::from_secs(3);
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &["--interval", "20ms"]);
    let listener = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let server = listener.local_addr().expect("bound");
    let reader = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("is there");
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0u64;
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            total += len as u64;
        }
        total
    });
    let sent = pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        let begin = Instant::now();
        let mut sent = 0;
        while begin.elapsed() < moving {
            stream.write_all(&[7; 4096]).expect("sends");
            sent += 4096;
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(RESTING);
        stream.shutdown(Shutdown::Write).expect("is open");
        stream.read_to_end(&mut Vec::new()).expect("ends in order");
        sent
    });
    assert_eq!(reader.join().expect("no panic"), sent);
    daemon.stop();

    let files = archive::read(output.path());
    assert_eq!(files.len(), 1);
    let times = files[0].timestamps();
    let gaps: Vec<TimeDelta> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let longest = gaps.iter().max().expect("several records");
    let in_motion = times.iter().filter(|&&time| (time - times[0]).to_std().is_ok_and(|age| age < moving)).count();
    let polls = (moving.as_millis() / INTERVAL.as_millis()) as usize;
    eprintln!("{in_motion} records in {polls} polls, then none for {} ms", longest.num_milliseconds());
    // A busy machine misses some.
    assert!(in_motion > polls / 4, "{in_motion} records while it moved");
    assert!(*longest > TimeDelta::milliseconds(2000), "the longest rest was {longest}");
    let after_rest = gaps.len() - gaps.iter().position(|gap| gap == longest).expect("is one of them");
    assert!(after_rest < 10, "{after_rest} records after the rest");
    let last = files[0].last_tcp_info();
    assert_eq!(last.bytes_acked(), Some(sent + 2));
    assert!(files[0].records.last().expect("a record").is_final);
}

#[test]
fn connections_that_end_meanwhile_cost_no_poll() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let steady = pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                connections(server, 600, 300.0, Duration::ZERO);
                ended.store(true, Ordering::Relaxed);
            });
            while !ended.load(Ordering::Relaxed) {
                stream.write_all(&[7]).expect("sends");
                stream.read_exact(&mut [0; 2]).expect("is answered");
                thread::sleep(Duration::from_millis(1));
            }
        });
        stream.local_addr().expect("connected")
    });
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 601);
    let records = files.iter().find(|file| file.ends().0 == steady).expect("has a file").records.len();
    // Two seconds, a poll every 10 ms; a busy machine misses some.
    eprintln!("{records} records in about 200 polls");
    assert!(records > 50, "{records} records");
}

/// `total_rto_time` goes up with the clock then, and by itself it is no change.
#[test]
fn a_connection_that_waits_for_retransmission_is_not_recorded_at_every_poll() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &[]);
    let stream = pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        stream.write_all(&[7]).expect("sends");
        stream.read_exact(&mut [0; 2]).expect("is answered");
        stream
    });
    pair.right.ip(&["link", "set", "veth0", "down"]);
    (&stream).write_all(&[7; 100]).expect("is buffered");
    let timeouts = || pair.left.output("ss", &["-tinH"]).contains("backoff:4");
    let begin = Instant::now();
    while !timeouts() {
        assert!(begin.elapsed() < crate::support::daemon::PATIENCE, "no four timeouts in a row");
    }
    let polls = begin.elapsed().as_millis() / 10;
    daemon.stop();
    let files = archive::read(output.path());
    assert_eq!(files.len(), 1);
    let waiting = |snapshot: &Snapshot| snapshot.tcp_info.is_some_and(|info| info.retransmits() > Some(0));
    let snapshots: Vec<_> = files[0].records.iter().map(Snapshot::decode).filter(waiting).collect();
    eprintln!("{} records in {polls} polls", snapshots.len());
    assert!((3..20).contains(&snapshots.len()), "{} records in {polls} polls", snapshots.len());
    let rto_time = |snapshot: &Snapshot| snapshot.tcp_info.and_then(|info| info.total_rto_time());
    if rto_time(&snapshots[2]).is_some() {
        assert!(rto_time(&snapshots[2]) > rto_time(&snapshots[1]), "it does not go up: what is tested here?");
    }
}

#[test]
fn a_file_is_rotated_by_age_and_the_next_goes_on() {
    require_root!();
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let arguments = ["--rotation", "500ms", "--flush-age", "100ms"];
    let daemon = Daemon::start(pair.left.command(program()), output.path(), &arguments);
    let listener = pair.right.run(|| TcpListener::bind("10.77.0.2:0").expect("binds"));
    let server = listener.local_addr().expect("bound");
    pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        let begin = Instant::now();
        while archive::paths(output.path()).len() < 3 {
            assert!(begin.elapsed() < crate::support::daemon::PATIENCE, "files are not rotated");
            stream.write_all(&[7]).expect("sends");
            thread::sleep(Duration::from_millis(5));
        }
    });
    daemon.stop();
    let files = archive::read(output.path());
    let uuid = &files[0].metadata.uuid;
    for (sequence, file) in files.iter().enumerate() {
        assert_eq!((&file.metadata.uuid, file.metadata.sequence), (uuid, sequence as i64));
        assert_eq!(file.metadata.start_time, files[0].metadata.start_time);
        assert!(file.path.ends_with(format!("{uuid}.{sequence:05}.jsonl.zst")));
    }
    let times: Vec<_> = files.iter().flat_map(archive::ArchiveFile::timestamps).collect();
    assert!(times.is_sorted());
}
