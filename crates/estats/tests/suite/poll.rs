//! What polls alone tell, beside what `ss` prints of the same sockets.

use std::collections::BTreeMap;
use std::io::Write;

use estats::Sample;
use inetdiag::Snapshot;

use crate::ss;
use crate::support::polls::{Polled, poll_one};
use crate::support::traffic::{Connection, RIGHT, RIGHT6, pair};
use crate::support::{load, require_root, wait_until};

/// Variables by what `ss` prints: its name, and how to read it.
fn by_ss(fields: &BTreeMap<String, String>) -> Vec<(&'static str, f64)> {
    // Some fields are left out where they are zero.
    let number = |name: &str| fields.get(name).map_or(0.0, |text| text.trim_end_matches("ms").parse().expect(name));
    let part = |name: &str, mark: char, at: usize| {
        fields.get(name).and_then(|text| text.split(mark).nth(at)).map_or(0.0, |text| text.parse().expect(name))
    };
    let time = |name: &str| {
        let text = fields.get(name).map_or("0ms", |text| text.split('(').next().expect("some"));
        text.trim_end_matches("ms").parse::<f64>().expect(name)
    };
    let has = |name: &str| if fields.contains_key(name) { 1.0 } else { 0.0 };
    let mss = number("mss");
    vec![
        ("PerfSegsOut", number("segs_out")),
        ("PerfDataSegsOut", number("data_segs_out")),
        ("PerfDataOctetsOut", number("bytes_sent")),
        ("PerfHCDataOctetsOut", number("bytes_sent")),
        ("PerfSegsRetrans", part("retrans", '/', 1)),
        ("PerfOctetsRetrans", number("bytes_retrans")),
        ("PerfSegsIn", number("segs_in")),
        ("PerfDataSegsIn", number("data_segs_in")),
        ("PerfCurMSS", mss),
        ("PerfPipeSize", (number("unacked") - number("sacked") - number("lost") + part("retrans", '/', 0)) * mss),
        ("PerfSmoothedRTT", part("rtt", '/', 0)),
        ("PerfCurRTO", number("rto")),
        ("PerfCurCwnd", number("cwnd") * mss),
        ("PerfCurRwinRcvd", number("snd_wnd")),
        ("PerfSndLimTimeRwin", time("rwnd_limited")),
        ("PerfSndLimTimeCwnd", time("busy") - time("rwnd_limited") - time("sndbuf_limited")),
        ("PathRetranThresh", fields.get("reordering").map_or(3.0, |text| text.parse().expect("a number"))),
        ("PathRTTVar", part("rtt", '/', 1)),
        ("PathRcvRTT", number("rcv_rtt")),
        ("StackMSSSent", number("advmss") + 12.0 * has("ts")),
        ("StackWinScaleSent", part("wscale", ',', 1)),
        ("StackWinScaleRcvd", part("wscale", ',', 0)),
        ("StackTimeStamps", has("ts")),
        ("StackWillSendSACK", has("sack")),
        ("StackWillUseSACK", has("sack")),
        ("StackCurTimeoutCount", 0.0),
        ("StackDSACKDups", number("dsack_dups")),
        ("StackCurRetxQueue", number("send-q") - number("notsent")),
        ("AppThruOctetsAcked", number("bytes_acked")),
        ("AppHCThruOctetsAcked", number("bytes_acked")),
        ("AppThruOctetsReceived", number("bytes_received")),
        ("AppHCThruOctetsReceived", number("bytes_received")),
        ("AppCurAppWQueue", number("notsent")),
        ("AppCurAppRQueue", number("recv-q")),
    ]
}

#[test]
fn polls_agree_with_ss() {
    require_root!();
    let pair = pair();
    let estats = load(false);
    for address in [RIGHT, RIGHT6] {
        let connection = Connection::across(&pair, address);
        connection.exchange(100_000, 20);
        (&connection.server).write_all(&[7; 3000]).expect("is taken, and not read");
        let cookies = connection.cookies();
        for (namespace, cookie) in [(&pair.left, cookies[0]), (&pair.right, cookies[1])] {
            let polled = || poll_one(namespace, estats.map_fd(), cookie);
            // Idle: two polls with `ss` between them say the same, but for ages.
            let significant = |polled: &Polled| {
                let info = polled.snapshot().tcp_info.expect("is there");
                (info.segs_in(), info.segs_out(), info.rto(), info.busy_time(), info.unacked())
            };
            let mut pairing: Option<(Polled, String)> = None;
            wait_until("the connection is idle", || {
                let before = polled();
                let text = namespace.output("ss", &["-tinemOH"]);
                let is_idle = significant(&before) == significant(&polled());
                pairing = is_idle.then_some((before, text));
                is_idle
            });
            let (polled, text) = pairing.expect("is there");
            let listed = ss::parse(&text);
            let socket = listed
                .iter()
                .find(|socket| socket.fields.get("sk") == Some(&format!("{cookie:x}")))
                .expect("is listed");
            let sample = polled.sample();
            let expected = by_ss(&socket.fields);
            for (name, expected) in &expected {
                let found = sample.get(name).map_or(0.0, |datum| datum.to_f64());
                // `ss` rounds to six digits, and milliseconds of busy times are whole.
                let within = if name.contains("SndLimTime") { 3.0 } else { expected.abs() * 1e-5 };
                assert!((found - expected).abs() <= within, "{name}: {found}, ss {expected}: {text}");
            }
            println!("{address}: {} variables agree with ss", expected.len());

            // An archive says the same: its record has the same attributes.
            let snapshot = Snapshot { timestamp: None, ..polled.snapshot() };
            let archived = Sample { time: sample.time, ..Sample::of_snapshot(&snapshot) };
            for variable in estats::variables() {
                assert_eq!(variable.of(&archived), variable.of(&sample), "{variable}");
            }
        }
    }
}

#[test]
fn states_are_those_that_ss_shows() {
    require_root!();
    let pair = pair();
    let estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    let [client, server] = connection.cookies();
    let states = || {
        let text = |namespace, cookie| {
            poll_one(namespace, estats.map_fd(), cookie).sample().get("StackState").expect("is known").to_string()
        };
        (text(&pair.left, client), text(&pair.right, server))
    };
    assert_eq!(states(), ("established".into(), "established".into()));
    connection.client.shutdown(std::net::Shutdown::Write).expect("closes its side");
    wait_until("the peer has heard of it", || states() == ("finWait2".into(), "closeWait".into()));
    let shown = |namespace: &netlab::Namespace, cookie: u64| {
        let listed = ss::parse(&namespace.output("ss", &["-tinemOH"]));
        listed
            .into_iter()
            .find(|socket| socket.fields.get("sk") == Some(&format!("{cookie:x}")))
            .expect("is listed")
            .fields["state"]
            .clone()
    };
    assert_eq!((shown(&pair.left, client).as_str(), shown(&pair.right, server).as_str()), ("FIN-WAIT-2", "CLOSE-WAIT"));
}
