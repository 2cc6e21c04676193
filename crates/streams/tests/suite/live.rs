//! Streams as they pass, asked for while they do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use netlab::{Namespace, Pair};
use streams::Account;
use streams::analysis::{Report, State};
use streams::live::{self, By, Choice, Gathered, Handle, InterfaceState, Options};
use streams::table::Limits;

use crate::support::{PORT, can_run, wait_for};

const ALL: Choice = Choice { most: 1000, by: By::Bytes };

/// Captures in a namespace while `work` is done. Accounts come out of the channel.
fn with_capture<T: Send>(
    namespace: &Namespace,
    options: &Options,
    work: impl FnOnce(&Handle, &Receiver<Account>) -> T + Send,
) -> T {
    let (accounts, told) = unbounded();
    let (workers, handle) = namespace.run(|| live::open(options, Some(accounts))).expect("root may capture");
    std::thread::scope(|scope| {
        for mut worker in workers {
            // Interfaces are looked for in the namespace of the thread.
            scope.spawn(move || namespace.run(|| worker.run()));
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&handle, &told)));
        handle.stop();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn on(interface: &str) -> Options {
    Options { interfaces: vec![interface.to_owned()], ..Options::default() }
}

/// Sends so many bytes to a port of the right side, and both close.
fn transfer(pair: &Pair, server: SocketAddr, bytes: usize) {
    let listener = pair.right.run(|| TcpListener::bind(server)).expect("the port is free");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("all of it");
            assert_eq!(all.len(), bytes);
        });
        let mut client = pair.left.run(|| TcpStream::connect(server)).expect("somebody listens");
        client.write_all(&vec![7; bytes]).expect("it is read");
    });
}

fn server(number: u16) -> SocketAddr {
    let address = if number.is_multiple_of(2) { "10.77.0.2" } else { "fd77::2" };
    SocketAddr::new(address.parse().expect("an address"), PORT + number)
}

/// Asks until it is so.
fn gather_until(handle: &Handle, what: &str, is_so: impl Fn(&Gathered) -> bool) -> Gathered {
    wait_for(what, || Some(handle.gather(ALL)).filter(&is_so))
}

/// Payload, each byte once: a busy machine reorders packets, and the kernel then sends some again.
fn sent(gathered: &Gathered) -> u64 {
    gathered.totals.bytes - gathered.totals.retransmitted_bytes
}

fn have_ended(gathered: &Gathered) -> bool {
    !gathered.reports.is_empty() && gathered.active == 0
}

#[test]
fn each_connection_is_whole_with_one_thread_and_with_several() {
    if !can_run(&[]) {
        return;
    }
    for threads in [1, 3] {
        let pair = Pair::new();
        let options = Options { threads, ..on("veth0") };
        with_capture(&pair.left, &options, |handle, told| {
            (0..8).for_each(|number| transfer(&pair, server(number), 100_000 * (1 + usize::from(number))));
            let gathered = gather_until(handle, "eight ended connections", |it| have_ended(it) && it.seen == 16);
            assert_eq!((gathered.tracked, sent(&gathered), gathered.capture.dropped), (16, 3_600_000, 0));
            assert_eq!(gathered.totals.packets, gathered.reports.iter().map(|it| it.counters.packets).sum::<u64>());
            assert_eq!(gathered.frames.malformed + gathered.frames.truncated + gathered.frames.untracked, 0);
            assert!(gathered.reports.iter().all(|report| report.state == State::Finalized));
            // The capture tells of the end without being asked.
            let mut ended: Vec<Account> = Vec::new();
            wait_for("accounts of eight ended connections", || {
                ended.extend(told.try_iter().filter(|account| account.ended));
                (ended.len() >= 8).then_some(())
            });
            let both = ended.iter().flat_map(|account| [account.a_to_b, account.b_to_a]);
            let bytes = both.map(|stream| stream.bytes - stream.retransmitted_bytes).sum::<u64>();
            assert_eq!((ended.len(), bytes), (8, 3_600_000));
        });
    }
}

#[test]
fn the_largest_are_chosen_and_totals_are_of_all() {
    if !can_run(&[]) {
        return;
    }
    let pair = Pair::new();
    with_capture(&pair.left, &on("any"), |handle, _| {
        (0..6).for_each(|number| transfer(&pair, server(number), 10_000 * (1 + usize::from(number))));
        gather_until(handle, "six ended connections", |it| have_ended(it) && it.seen == 12);
        let chosen = |by| {
            let gathered = handle.gather(Choice { most: 2, by });
            assert_eq!((sent(&gathered), gathered.tracked), (210_000, 12));
            let mut bytes: Vec<_> = gathered
                .reports
                .iter()
                .map(|it: &Report| it.counters.bytes - it.counters.retransmitted_bytes)
                .collect();
            bytes.sort_unstable();
            bytes
        };
        assert_eq!(chosen(By::Bytes), [50_000, 60_000]);
        assert_eq!(chosen(By::Recency), [0, 60_000], "both directions of the last one");
        assert_eq!(handle.gather(Choice { most: 0, by: By::Bytes }).reports.len(), 0);
    });
}

#[test]
fn what_is_forgotten_stays_in_the_totals() {
    if !can_run(&[]) {
        return;
    }
    let pair = Pair::new();
    let [stream_age, finalized_age] = [60, 1].map(Duration::from_secs);
    let limits = Limits { connections: 4, stream_age, finalized_age };
    with_capture(&pair.left, &Options { limits, ..on("veth0") }, |handle, _| {
        (0..6).for_each(|number| transfer(&pair, server(number), 10_000));
        let gathered = gather_until(handle, "all to be forgotten", |it| it.seen > 0 && it.tracked == 0);
        assert_eq!((gathered.seen, sent(&gathered), gathered.reports.len()), (12, 60_000, 0));
        assert_eq!((gathered.frames.evicted, gathered.frames.untracked), (2, 0), "those that have ended make room");
        transfer(&pair, server(0), 10_000);
        gather_until(handle, "another one in their place", |it| sent(it) == 70_000);
    });
}

#[test]
fn an_end_is_told_of_at_once_and_the_rest_when_it_stops() {
    if !can_run(&[]) {
        return;
    }
    let pair = Pair::new();
    let (accounts, told) = unbounded();
    let (mut workers, handle) = pair.left.run(|| live::open(&on("veth0"), Some(accounts))).expect("root may capture");
    let worker = std::thread::spawn(move || workers.iter_mut().for_each(live::Worker::run));
    let listener = pair.right.run(|| TcpListener::bind(server(0))).expect("the port is free");
    let mut client = pair.left.run(|| TcpStream::connect(server(0))).expect("somebody listens");
    let served = listener.accept().expect("a client");
    client.write_all(b"hello").expect("a connection");
    handle.stop();
    worker.join().expect("it ends");
    let last = told.try_iter().last().expect("an account");
    assert_eq!((last.a_to_b.bytes + last.b_to_a.bytes, last.ended), (5, false));
    drop((client, served));
}

/// As VPNs and containers do.
#[test]
fn an_interface_that_is_made_anew_is_captured_on_again() {
    if !can_run(&[]) {
        return;
    }
    for (threads, indices) in [(1, [70, 71]), (1, [70, 70]), (3, [70, 71]), (3, [70, 70])] {
        let pair = Pair::new();
        let make = |index| {
            pair.left.ip(&["link", "del", "veth0"]);
            pair.join_as(index);
        };
        make(indices[0]);
        let options = Options { threads, ..on("veth0") };
        with_capture(&pair.left, &options, |handle, _| {
            transfer(&pair, server(0), 10_000);
            let before = gather_until(handle, "the first connection", |it| sent(it) == 10_000);
            assert_eq!(before.interfaces, [InterfaceState { name: "veth0".to_owned(), is_up: true }]);
            pair.left.ip(&["link", "set", "veth0", "down"]);
            gather_until(handle, "it to be down", |it| !it.interfaces[0].is_up);
            make(indices[1]);
            gather_until(handle, "it to be up", |it| it.interfaces[0].is_up);
            // Each once, whichever thread they come to.
            (0..6).for_each(|number| transfer(&pair, server(number), 10_000));
            let after = gather_until(handle, "the other connections", |it| sent(it) >= 70_000);
            assert_eq!(sent(&after), 70_000, "{threads} threads");
            assert!(after.capture.received >= before.capture.received + 6 * 7, "packets of before count on");
        });
    }
}

/// Asking is no reason for packets to wait, nor for an answer to be late.
#[test]
fn it_is_asked_all_the_time_and_loses_nothing() {
    if !can_run(&[]) {
        return;
    }
    let pair = Pair::new();
    with_capture(&pair.left, &on("veth0"), |handle, _| {
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut before = Gathered::default();
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let begin = Instant::now();
                        let now = handle.gather(ALL);
                        assert!(begin.elapsed() < Duration::from_secs(2));
                        let all = now.totals.iter().zip(before.totals.iter());
                        all.for_each(|((name, now), (_, before))| assert!(now >= before, "{name} goes back"));
                        before = now;
                    }
                });
            }
            (0..20).for_each(|number| transfer(&pair, server(number % 4), 1_000_000));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let gathered = gather_until(handle, "all connections", |it| have_ended(it) && it.seen == 40);
        assert_eq!((sent(&gathered), gathered.capture.dropped), (20_000_000, 0));
    });
}

/// What passes a bridge and its port is seen on both, and counted once.
#[test]
fn any_counts_what_passes_a_bridge_once() {
    if !can_run(&[]) {
        return;
    }
    let pair = Pair::new();
    pair.left.ip(&["link", "add", "br0", "type", "bridge"]);
    pair.left.ip(&["address", "del", "10.77.0.1/24", "dev", "veth0"]);
    pair.left.ip(&["link", "set", "veth0", "master", "br0"]);
    pair.left.ip(&["address", "add", "10.77.0.1/24", "dev", "br0"]);
    pair.left.ip(&["link", "set", "br0", "up"]);
    // A bridge that has just been made does not pass packets yet.
    wait_for("the bridge", || {
        pair.left.run(|| TcpStream::connect_timeout(&server(8), Duration::from_millis(200)).err()).filter(is_refused)
    });
    with_capture(&pair.left, &on("any"), |handle, _| {
        transfer(&pair, server(0), 1_000_000);
        let gathered = gather_until(handle, "the end", have_ended);
        assert!(gathered.frames.copies > gathered.frames.frames / 3, "{:?}", gathered.frames);
        assert_eq!((gathered.seen, gathered.totals.syns, gathered.totals.fins, sent(&gathered)), (2, 2, 2, 1_000_000));
        // A busy machine reorders packets, and the kernel then sends some again; but not all of them.
        assert!(gathered.totals.retransmits < gathered.totals.packets / 10, "{:?}", gathered.totals);
    });
}

fn is_refused(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionRefused
}

/// One side has closed, the other sends on for a while.
#[test]
fn a_half_closed_connection_is_told_of_once_a_second() {
    if !can_run(&[]) {
        return;
    }
    let pair = Pair::new();
    with_capture(&pair.left, &on("veth0"), |_, told| {
        let listener = pair.right.run(|| TcpListener::bind(server(0))).expect("the port is free");
        let client = pair.left.run(|| TcpStream::connect(server(0))).expect("somebody listens");
        client.shutdown(std::net::Shutdown::Write).expect("a connection");
        let (mut served, _) = listener.accept().expect("a client");
        assert_eq!(served.read(&mut [0]).expect("the end"), 0);
        let (begin, mut sent) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_millis(1500) {
            served.write_all(b"x").expect("a connection");
            sent += 1;
            // The packets it makes are what is counted.
            std::thread::sleep(Duration::from_millis(2));
        }
        drop(served);
        let mut accounts = Vec::new();
        wait_for("the end", || {
            accounts.extend(told.try_iter());
            accounts.last().is_some_and(|account: &Account| account.ended).then_some(())
        });
        assert!(sent > 100 && accounts.len() < 12, "{} accounts of {sent} packets", accounts.len());
    });
}
