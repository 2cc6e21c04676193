//! What polls ask for, and how often.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use inetdiag::attribute::{INET_DIAG_CONG, INET_DIAG_INFO, INET_DIAG_MEMINFO, INET_DIAG_SHUTDOWN, INET_DIAG_SKMEMINFO};
use inetdiag::{ArchivalRecord, attribute};
use netlab::Pair;

use crate::support::archive::{self, ArchiveFile};
use crate::support::daemon::{Daemon, program};
use crate::support::require_root;
use crate::support::traffic::echo_server;

/// The files of one connection that asks and is answered every few milliseconds for `busy`, rests for `rest`, and ends;
/// and the recorder's log.
fn record(options: &[&str], busy: Duration, rest: Duration) -> (Vec<ArchiveFile>, String) {
    let pair = Pair::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let server = pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")));
    let daemon = Daemon::start(pair.left.command(program()), output.path(), options);
    pair.left.run(|| {
        let mut stream = TcpStream::connect(server).expect("connects");
        let begin = Instant::now();
        while begin.elapsed() < busy {
            stream.write_all(&[7; 10]).expect("sends");
            stream.read_exact(&mut [0; 20]).expect("is answered");
            thread::sleep(Duration::from_millis(5)); // the pace of the connection is what is wanted, no event
        }
        thread::sleep(rest);
    });
    let log = daemon.stop().log;
    (archive::read(output.path()), log)
}

fn polled(file: &ArchiveFile) -> Vec<&ArchivalRecord> {
    file.records.iter().filter(|record| record.poll.is_some()).collect()
}

fn kinds(record: &ArchivalRecord) -> Vec<u16> {
    record.attributes.iter().map(|(kind, _)| kind).collect()
}

#[test]
fn lean_polls_leave_out_most_and_what_they_leave_out_is_no_change() {
    require_root!();
    let rest = Duration::from_millis(2500);
    let (files, _) = record(&["--attributes", "lean", "--interval", "20ms"], Duration::from_millis(1500), rest);
    let polled = polled(&files[0]);
    let is_whole = |record: &ArchivalRecord| record.attributes.get(INET_DIAG_SKMEMINFO).is_some();
    assert!(is_whole(polled[0]), "the first sight has everything: {:?}", kinds(polled[0]));
    let lean: Vec<_> = polled.iter().filter(|record| !is_whole(record)).collect();
    let whole = polled.len() - lean.len();
    assert!(lean.len() > 20, "{} of {} are lean", lean.len(), polled.len());
    assert!((2..=5).contains(&whole), "once a second, and at first sight: {whole}");
    for record in lean {
        let kinds = kinds(record);
        assert!(kinds.contains(&INET_DIAG_INFO) && kinds.contains(&INET_DIAG_CONG), "{kinds:?}");
        assert!(!kinds.contains(&INET_DIAG_MEMINFO) && !kinds.contains(&attribute::INET_DIAG_TOS), "{kinds:?}");
    }
    let times = files[0].timestamps();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("several records");
    assert!(longest.num_milliseconds() > 1800, "a rest of {rest:?}, but no more than {longest} without a record");
}

#[test]
fn only_what_is_listed_is_asked_for() {
    require_root!();
    let (files, _) = record(&["--attributes", "info,cong"], Duration::from_millis(300), Duration::ZERO);
    let polled = polled(&files[0]);
    assert!(polled.len() > 3);
    for record in polled {
        let kinds = kinds(record);
        assert!([INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_SHUTDOWN].iter().all(|kind| kinds.contains(kind)));
        assert!(!kinds.contains(&INET_DIAG_MEMINFO) && !kinds.contains(&INET_DIAG_SKMEMINFO), "{kinds:?}");
    }
}

/// A dump of hardly any socket costs some 300 microseconds: at a hundredth of one core, one in some 30 ms.
#[test]
fn polls_that_cost_too_much_are_made_further_apart_and_the_archive_says_so() {
    require_root!();
    let options = ["--max-cpu", "1%", "--interval", "1ms", "--flush-age", "100ms", "--rotation", "1500ms"];
    let (files, log) = record(&options, Duration::from_secs(3), Duration::ZERO);
    assert!(log.contains("the interval is stretched"), "{log}");
    let file = files.iter().find(|file| file.metadata.sequence == 1).expect("was rotated");
    assert_eq!(file.metadata.interval.as_deref(), Some("1ms"));
    let achieved = file.metadata.achieved_interval.as_deref().expect("is told");
    let achieved = humantime::parse_duration(achieved).expect("a time");
    let polled: Vec<_> = file.records.iter().filter_map(|record| Some((record.poll?, record.timestamp))).collect();
    let ((first, from), (last, to)) = (polled[0], polled[polled.len() - 1]);
    let between = (to - from).to_std().expect("in order").div_f64((last - first) as f64);
    eprintln!("1 ms was meant, {achieved:?} achieved, {between:?} between polls");
    assert!(achieved > Duration::from_millis(5), "{achieved:?}");
    assert!(between > achieved / 3 && between < achieved * 3, "{between:?} between polls, {achieved:?} told");
}
