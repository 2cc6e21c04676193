//! Pages as they are meant to be asked for.

use std::io::Read;

use flate2::read::GzDecoder;
use web::WebConfig;

use crate::support::Served;

#[test]
fn pages_are_sent_and_what_is_none_is_not_found() {
    let served = Served::new(WebConfig::default());
    let page = served.get("/", "");
    assert_eq!((page.status, &*page.body), (200, &b"<p>hello"[..]));
    assert!(page.head.contains("content-type: text/html") && page.head.contains("connection: close"), "{}", page.head);
    assert_eq!(served.get("/?a=b", "").status, 200);
    assert_eq!(served.get("/none", "").status, 404);
    assert_eq!(served.get("/ill", "").status, 503);
    assert_eq!(
        (served.count("test_web_requests_total", "200"), served.count("test_web_requests_total", "404")),
        (2, 1)
    );
}

#[test]
fn head_says_how_long_a_page_is_and_no_more() {
    let served = Served::new(WebConfig::default());
    let page = served.say(b"HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((page.status, page.body.len()), (200, 0));
    assert!(page.head.contains("content-length: 100000"), "{}", page.head);
}

#[test]
fn a_long_page_is_compressed_for_those_who_take_it() {
    let served = Served::new(WebConfig::default());
    let plain = served.get("/long", "");
    let zipped = served.get("/long", "Accept-Encoding: gzip\r\n");
    assert!(zipped.head.contains("content-encoding: gzip") && zipped.body.len() < plain.body.len() / 10);
    let mut unzipped = Vec::new();
    GzDecoder::new(&*zipped.body).read_to_end(&mut unzipped).expect("is gzip");
    assert!(unzipped == plain.body);
}

#[test]
fn of_a_page_that_fails_half_way_nothing_is_sent() {
    let served = Served::new(WebConfig::default());
    for asked in ["", "Accept-Encoding: gzip\r\n"] {
        let page = served.get("/failing", asked);
        assert_eq!((page.status, &*page.body), (500, &b"the page could not be made\n"[..]));
        assert!(!page.head.contains("gzip"), "{}", page.head);
    }
}

#[test]
fn only_get_and_head_are_answered() {
    let served = Served::new(WebConfig::default());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "BREW"] {
        let answer = served.say(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
}

#[test]
fn who_asks_while_a_page_is_made_gets_the_same() {
    let served = Served::new(WebConfig::default());
    std::thread::scope(|scope| {
        let clients = [(); 3].map(|()| scope.spawn(|| served.get("/slow", "")));
        served.wait_for_slow(3);
        served.go_on("once");
        assert_eq!(clients.map(|client| client.join().expect("no panic").body), [b"once"; 3]);
    });
    served.go_on("again");
    assert_eq!(served.get("/slow", "").body, b"again");
}

#[test]
fn a_page_that_takes_its_time_keeps_no_other_from_being_sent() {
    let served = Served::new(WebConfig::default());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| served.get("/slow", ""));
        assert_eq!(served.get("/", "").status, 200);
        assert_eq!(served.get("/long", "").status, 200);
        served.go_on("slow");
        assert_eq!(slow.join().expect("no panic").body, b"slow");
    });
}
