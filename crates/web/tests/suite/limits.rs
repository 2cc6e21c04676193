//! Clients that ask for too much, too slowly, or for nothing.

use std::io::Write;
use std::net::Shutdown;

use web::WebConfig;

use crate::support::{Answer, Served};

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
