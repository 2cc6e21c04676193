//! Clients that ask for too much, too slowly, or for nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use web::WebConfig;

use crate::support::{Answer, HUGE, LARGE, Served};

#[test]
fn garbage_is_refused() {
    let served = Served::new(WebConfig::default());
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\0\0\0\r\n\r\n"]
    {
        let answer = served.say(garbage);
        assert!([0, 400, 505].contains(&answer.status), "{garbage:?}: {}", answer.status);
    }
    assert_eq!(served.get("/", "").status, 200);
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    let served = Served::new(WebConfig::default());
    let long_header = format!("X: {}\r\n", "x".repeat(100_000));
    let many_headers = "X: y\r\n".repeat(1000);
    for headers in [&long_header, &many_headers] {
        assert_eq!(served.get("/", headers).status, 431);
    }
    let long_path = "x".repeat(100_000);
    assert!([414, 431].contains(&served.get(&format!("/{long_path}"), "").status));
}

#[test]
fn of_what_is_sent_behind_a_request_nothing_is_answered() {
    let served = Served::new(WebConfig::default());
    let mut stream = served.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /long HTTP/1.1\r\nHost: x\r\n\r\n\xff\xff")
        .expect("is taken");
    let answer = Answer::read(stream);
    assert_eq!((answer.status, &*answer.body), (200, &b"<p>hello"[..]));
    assert_eq!(served.count("test_web_requests_total", "200"), 1);
}

#[test]
fn a_client_that_has_said_all_may_say_so() {
    let served = Served::new(WebConfig::default());
    let mut stream = served.connect();
    stream.write_all(b"GET /long HTTP/1.0\r\n\r\n").expect("is taken");
    stream.shutdown(Shutdown::Write).expect("is open");
    assert_eq!(Answer::read(stream).body.len(), 100_000);
}

/// More than there are places. Each is let in, and the oldest goes.
#[test]
fn a_thousand_clients_that_never_finish_their_request_keep_nobody_out() {
    let served = Served::new(WebConfig::default());
    let halves: Vec<_> = (0..1000)
        .map(|_| {
            let mut stream = served.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHo").expect("is taken");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(served.get("/", "").status, 200);
    }
    assert!(served.count("test_web_connections_dropped_total", "crowded") >= 1000 - 256);
    drop(halves);
}

/// A client that has asked for a page, and has read the first byte of the answer.
fn ask(served: &Served, path: &str) -> TcpStream {
    let mut stream = served.connect();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).expect("is taken");
    stream.read_exact(&mut [0]).expect("is answered");
    stream
}

/// What of a page the client gets that it has not read so far, its head included.
fn rest(mut stream: TcpStream) -> usize {
    // A connection that is reset has said what it had to say.
    std::iter::from_fn(|| stream.read(&mut [0; 1 << 16]).ok().filter(|&len| len > 0)).sum()
}

/// There is memory for five answers like these.
#[test]
fn who_takes_nothing_of_a_large_page_goes_and_who_takes_some_has_all_of_it() {
    const STEP: usize = 1 << 20;
    let served = Served::new(WebConfig::default());
    let mut steady = ask(&served, "/large");
    let stalled = [(); 12].map(|()| {
        let stalled = ask(&served, "/large");
        steady.read_exact(&mut vec![0; STEP]).expect("it goes on");
        stalled
    });
    assert_eq!(served.get("/large", "").body.len(), LARGE);
    assert_eq!(served.count("test_web_connections_dropped_total", "slow"), 12 + 2 - 5);
    assert!(rest(steady) > LARGE - 12 * STEP);
    let has_all = stalled.map(|stalled| rest(stalled) > LARGE);
    assert_eq!(has_all, [[false; 9].as_slice(), &[true; 3]].concat()[..], "the last ones were not in the way");
}

#[test]
fn a_page_that_is_larger_than_all_may_be_together_is_sent_alone() {
    let served = Served::new(WebConfig::default());
    let stalled = [(); 2].map(|()| ask(&served, "/large"));
    assert!(rest(ask(&served, "/huge")) > HUGE);
    assert_eq!(stalled.map(|stalled| rest(stalled) > LARGE), [false; 2]);
    assert_eq!(served.count("test_web_connections_dropped_total", "slow"), 2);
}

#[test]
fn who_is_silent_is_let_go_after_a_while() {
    let served = Served::new(WebConfig::default());
    let silent = served.connect();
    let mut slow = served.connect();
    slow.write_all(b"GET / HTTP/1.1\r\n").expect("is taken");
    // It is the server that ends the waiting.
    assert_eq!((Answer::read(silent).status, Answer::read(slow).status), (0, 0));
    // It counts when it has closed.
    while served.count("test_web_connections_dropped_total", "late") < 2 {
        std::thread::yield_now();
    }
}
