//! Clients of the web server that behave badly: neither others nor polls notice.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use netlab::Namespace;

use crate::support::daemon::{Daemon, program};
use crate::support::http::{ADDRESS, get, value, wait_for};
use crate::support::{long_or_short, require_root};

fn polls(host: &Namespace) -> (f64, Instant) {
    let exposition = get(host, "/metrics").1;
    (value(&exposition, "tcpinfo_polls_total{af=\"ipv4\"}").expect("is told"), Instant::now())
}

fn resident(host: &Namespace) -> f64 {
    value(&get(host, "/metrics").1, "process_resident_memory_bytes").expect("is told")
}

/// Polls a second, while something is done.
fn rate(host: &Namespace, work: impl FnOnce()) -> f64 {
    let (before, begin) = polls(host);
    work();
    let (after, end) = polls(host);
    (after - before) / (end - begin).as_secs_f64()
}

#[test]
fn a_thousand_bad_clients_cost_neither_scrapes_nor_polls_nor_memory() {
    require_root!();
    let host = Namespace::new();
    let output = tempfile::tempdir().expect("a temporary directory");
    let daemon = Daemon::start(host.command(program()), output.path(), &[]);
    wait_for(&host, "tcpinfo_polls_total{af=\"ipv4\"}", |polls| polls > 100.0);
    let scrapes = long_or_short(200, 30);
    let scrape = || (0..scrapes).for_each(|_| assert_eq!(get(&host, "/metrics").0, 200));
    let undisturbed = rate(&host, scrape);
    let memory = resident(&host);
    let requests: [&[u8]; 5] = [
        b"GET /metrics HTTP/1.1\r\nHost: half",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 100000000\r\n\r\nxxxx",
        b"GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n\xff\xfe\0garbage",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"",
    ];
    let huge = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 60_000]].concat();
    let mut bad = Vec::new();
    let disturbed = rate(&host, || {
        host.run(|| {
            for number in 0..1000 {
                let mut stream = TcpStream::connect(ADDRESS).expect("connects");
                let request = if number % 6 == 5 { &huge } else { requests[number % 6] };
                // It may have been answered, or let go, before it has said all.
                let _ = stream.write_all(request);
                bad.push(stream);
            }
        });
        scrape();
    });
    println!("{undisturbed:.1} polls/s, with bad clients {disturbed:.1}; {memory} bytes, then {}", resident(&host));
    assert!(disturbed > undisturbed * 0.5, "{undisturbed} polls a second, and {disturbed} with bad clients");
    assert!(resident(&host) < memory + 32e6);
    drop(bad);
    daemon.stop();
}
