//! From the first callback of a socket to its last value.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aya::programs::loaded_programs;
use estats::{Estats, Options, flags};
use netlab::Namespace;
use rustix::net::sockopt::set_socket_linger;

use crate::support::kernel::running_kernel;
use crate::support::polls::{poll, poll_one};
use crate::support::traffic::{Connection, RIGHT, RIGHT6, cookie, pair};
use crate::support::{Finals, load, require_root, wait_until};

/// Set in the process that is to be killed.
const VICTIM: &str = "ESTATS_TEST_VICTIM";

#[test]
fn every_last_value_of_twenty_thousand_short_connections_arrives() {
    const CLIENTS: usize = 4;
    const CONNECTIONS: usize = 5_000;
    require_root!();
    let namespace = Namespace::new();
    let mut estats = load(false);
    let listener = namespace.run(|| TcpListener::bind(("127.0.0.1", 0)).expect("binds"));
    let address = listener.local_addr().expect("is bound");
    let running = &AtomicUsize::new(CLIENTS);
    let namespace = &namespace;
    let mut finals = Finals::default();
    let began = Instant::now();
    let (active, passive) = thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut cookies = HashSet::new();
            for _ in 0..CLIENTS * CONNECTIONS {
                let (mut connection, _) = listener.accept().expect("accepts");
                cookies.insert(cookie(&connection));
                let mut byte = [0];
                connection.read_exact(&mut byte).expect("receives");
                connection.write_all(&byte).expect("answers");
            }
            cookies
        });
        let client = move || {
            let mut cookies = HashSet::new();
            for _ in 0..CONNECTIONS {
                let mut connection = TcpStream::connect(address).expect("connects");
                cookies.insert(cookie(&connection));
                connection.write_all(&[7]).expect("sends");
                let mut bytes = Vec::new();
                connection.read_to_end(&mut bytes).expect("receives");
                assert_eq!(bytes, [7]);
            }
            running.fetch_sub(1, Ordering::Relaxed);
            cookies
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(move || namespace.run(client))).collect();
        while running.load(Ordering::Relaxed) > 0 {
            finals.drain(&mut estats);
            thread::sleep(Duration::from_millis(20));
        }
        let active: HashSet<u64> = clients.into_iter().flat_map(|client| client.join().expect("ends")).collect();
        (active, server.join().expect("ends"))
    });
    let took = began.elapsed();
    let expected = 2 * CLIENTS * CONNECTIONS;
    assert_eq!((active.len() + passive.len(), active.intersection(&passive).count()), (expected, 0));
    let all: HashSet<u64> = active.union(&passive).copied().collect();
    wait_until("all last values are there", || {
        finals.drain(&mut estats);
        all.iter().all(|cookie| finals.by_cookie.contains_key(cookie))
    });
    for cookie in &all {
        let values = &finals.by_cookie[cookie];
        assert_eq!(values.len(), 1, "one last value a socket");
        let value = values[0];
        let opened = if active.contains(cookie) { flags::ACTIVE } else { flags::PASSIVE };
        assert!(value.has(opened | flags::ESTABLISHED | flags::CLOSED), "{:#x}", value.raw.flags);
        assert!(!value.has(flags::PARTIAL));
    }
    assert_eq!(estats.lost().expect("is counted"), 0);
    let rate = (CLIENTS * CONNECTIONS) as f64 / took.as_secs_f64();
    println!("{} last values of {expected}, none lost, {rate:.0} connections/s", all.len());
}

#[test]
fn a_full_ring_is_counted() {
    // More than the ring holds, and nobody reads it.
    const CONNECTIONS: usize = 15_000;
    require_root!();
    let namespace = Namespace::new();
    let mut estats = load(false);
    let listener = namespace.run(|| TcpListener::bind(("127.0.0.1", 0)).expect("binds"));
    let cookies = namespace.run(|| {
        let mut cookies = HashSet::new();
        for _ in 0..CONNECTIONS {
            let connection = Connection::to(&namespace, &listener);
            cookies.extend(connection.cookies());
        }
        cookies
    });
    wait_until("all are closed", || {
        let open = poll(&namespace, estats.map_fd()).expect("the kernel answers");
        open.iter().all(|polled| !cookies.contains(&polled.message().cookie()) || polled.value().is_none())
    });
    let lost = estats.lost().expect("is counted");
    let mut arrived = 0;
    estats.drain(|last| arrived += u64::from(cookies.contains(&last.cookie)));
    // Connections of others may take room, too.
    println!("{arrived} arrived, {lost} found the ring full");
    assert!(lost > 0 && arrived < cookies.len() as u64);
    assert!(arrived + lost >= cookies.len() as u64, "{arrived} and {lost}");
}

#[test]
fn sockets_opened_before_are_taken_in_and_marked() {
    require_root!();
    let pair = pair();
    for address in [RIGHT, RIGHT6] {
        let connection = Connection::across(&pair, address);
        connection.upload(100_000);
        let [client, server] = connection.cookies();
        let mut estats = load(false);
        assert!(poll_one(&pair.left, estats.map_fd(), client).value().is_none(), "not yet taken in");
        let adopted = pair.left.run(|| estats.adopt().expect("the iterator runs"));
        assert_eq!(adopted, 1, "the client's end, alone in its namespace");
        let again = pair.left.run(|| estats.adopt().expect("the iterator runs"));
        assert_eq!(again, 0, "what is known is left alone");
        assert!(poll_one(&pair.right, estats.map_fd(), server).value().is_none(), "another namespace");
        assert_eq!(pair.right.run(|| estats.adopt().expect("the iterator runs")), 1);

        let before = poll_one(&pair.left, estats.map_fd(), client).value().expect("is taken in");
        assert!(before.has(flags::PARTIAL | flags::ESTABLISHED), "{:#x}", before.raw.flags);
        assert!(!before.has(flags::ACTIVE) && !before.has(flags::PASSIVE), "nobody saw who opened it");
        assert_eq!(before.raw.count_rtt, 0);
        connection.exchange(1000, 20);
        let after = poll_one(&pair.left, estats.map_fd(), client).value().expect("is there");
        if running_kernel() < (6, 12) {
            assert_eq!(after.raw.count_rtt, 0, "callbacks cannot be switched on");
            continue;
        }
        assert!(after.raw.count_rtt >= 20, "callbacks are switched on: {} samples", after.raw.count_rtt);

        drop(connection);
        let mut finals = Finals::default();
        for cookie in [client, server] {
            let last = finals.of(&mut estats, cookie);
            assert!(last.has(flags::PARTIAL | flags::CLOSED));
        }
        println!("{address}: {} samples after 20 exchanges, partial, closed", after.raw.count_rtt);
    }
}

#[test]
fn the_segment_that_aborts_a_connection_is_its_last() {
    const SILENCE: u32 = 200;
    require_root!();
    let pair = pair();
    let mut estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    connection.exchange(1000, 5);
    let [client, server] = connection.cookies();
    wait_until("nothing has come for a while", || {
        let polled = poll_one(&pair.left, estats.map_fd(), client).sample();
        polled.info.and_then(|info| info.last_activity()).expect("is told") >= SILENCE
    });
    set_socket_linger(&connection.client, Some(Duration::ZERO)).expect("is set");
    drop(connection);
    let mut finals = Finals::default();
    for cookie in [client, server] {
        let last = finals.of(&mut estats, cookie).raw;
        let elapsed = last.mstamp - last.start_monotonic;
        assert!(elapsed >= u64::from(SILENCE) * 1000, "{elapsed} us");
    }
}

#[test]
fn two_at_once_count_the_same() {
    require_root!();
    let pair = pair();
    let (mut first, mut second) = (load(false), load(true));
    let connection = Connection::across(&pair, RIGHT);
    connection.upload(1_000_000);
    let [client, _] = connection.cookies();
    let polled = poll_one(&pair.left, first.map_fd(), client).value().expect("is there");
    drop(second);
    connection.upload(1_000_000);
    second = load(true);
    drop(connection);
    let last = Finals::default().of(&mut first, client);
    assert!(last.raw.count_rtt > polled.raw.count_rtt, "the end of one does not end the other");
    assert!(!last.has(flags::FULL) && last.has(flags::TRACED));
    let mut unknown = true;
    second.drain(|last| unknown &= last.cookie != client);
    assert!(unknown, "whoever comes later and does not adopt knows nothing of it");
}

#[test]
fn nothing_stays_of_a_process_that_is_killed() {
    require_root!();
    if std::env::var_os(VICTIM).is_some() {
        let (estats, statuses) = Estats::load(Options { full: true }).expect("root may load");
        assert!(statuses.iter().all(|status| status.is_active()));
        println!("\nloaded");
        std::io::stdout().flush().expect("is read");
        loop {
            thread::sleep(Duration::from_secs(60));
            assert!(estats.map_fd() >= 0);
        }
    }
    let mut victim = Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", "lifecycle::nothing_stays_of_a_process_that_is_killed", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(victim.stdout.take().expect("is piped")).lines();
    assert!(lines.any(|line| line.expect("text") == "loaded"));
    let programs = programs_of(victim.id());
    let links = |ids: &HashSet<u32>| {
        let attached = aya::programs::loaded_links().filter_map(Result::ok);
        attached.filter(|link| ids.contains(&link.program_id())).count()
    };
    assert_eq!(programs.len(), 5, "{programs:?}");
    assert_eq!(links(&programs), 4, "all but the iterator are attached");
    victim.kill().expect("is killed");
    victim.wait().expect("is dead");
    wait_until("the kernel has let go of them", || {
        let left = loaded_programs().filter_map(Result::ok).filter(|program| programs.contains(&program.id())).count();
        left == 0 && links(&programs) == 0
    });
    println!("{} programs and 4 links gone", programs.len());
}

/// Ids of the programs that a process holds, as its descriptors tell.
fn programs_of(process: u32) -> HashSet<u32> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fdinfo")).expect("is there");
    let texts = descriptors.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    let id = |text: String| text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
    texts.filter_map(id).collect()
}
