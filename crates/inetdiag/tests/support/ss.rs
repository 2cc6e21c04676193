//! `ss` as a second opinion: its text taken apart, and what it should say of a [`Snapshot`].
//!
//! Understood is what `ss -tinemO` prints (iproute2 6.1; `--tos`, `--cgroup` and `--inet-sockopt` may be added), on
//! one line or on two, and the few fields that later versions added. Tests of other crates include this file too.

#![allow(dead_code, reason = "each crate that includes this uses its part")]

use std::collections::{BTreeMap, BTreeSet};

#[path = "ss_fields.rs"]
mod fields;
#[path = "ss_format.rs"]
mod format;

pub(crate) use fields::{expected_fields, key};

/// One socket as `ss` printed it.
#[derive(Debug, Clone)]
pub(crate) struct SsSocket {
    /// Local `address:port`, without the `%interface` of a bound socket.
    pub(crate) local: String,
    /// Remote `address:port`.
    pub(crate) peer: String,
    /// Everything else, by the name that `ss` gives it. What `ss` prints without a name has one here: `state`, `recv-q`,
    /// `send-q`, `shutdown` (such as `<->`), `cong`, `ulp`; `timer` is split in three. Plain flags have an empty value.
    pub(crate) fields: BTreeMap<String, String>,
}

/// A field that `ss` and a snapshot do not agree on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its name.
    pub(crate) field: String,
    /// What `ss` printed, if anything.
    pub(crate) ss: Option<String>,
    /// What the snapshot says it should have printed, if anything.
    pub(crate) ours: Option<String>,
}

/// Fields that only some versions of `ss` print, or only with some options: compared where the text has them at all.
const OPTIONAL: [&str; 11] = [
    "tos",
    "tclass",
    "class_id",
    "cgroup",
    "fwmark",
    "inet-sockopt",
    "rcv_wnd",
    "rehash",
    "usec_ts",
    "v6only",
    "no_pad_rx",
];

/// Fields that only say how long ago something was, or how long until something will be.
pub(crate) const ELAPSED: [&str; 4] = ["lastsnd", "lastrcv", "lastack", "timer_expires"];

/// Flags that stand for themselves. Any other single word is the name of a congestion control.
const FLAGS: [&str; 10] =
    ["ts", "usec_ts", "sack", "ecn", "ecnseen", "fastopen", "app_limited", "bidir", "zc_ro_tx", "no_pad_rx"];

/// Names that `ss` separates from their value by a space.
const SPACED: [&str; 3] = ["send", "pacing_rate", "delivery_rate"];

/// Takes apart the output of `ss`.
pub(crate) fn parse(text: &str) -> Vec<SsSocket> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.iter().filter(|line| !is_header(line)).map(|line| socket(line)).collect()
}

fn is_header(line: &str) -> bool {
    line.starts_with("State ") || line.starts_with("Netid ") || line.trim().is_empty()
}

fn socket(line: &str) -> SsSocket {
    let mut words = line.split_whitespace().peekable();
    let mut fields = BTreeMap::new();
    let mut next = || words.next().unwrap_or_else(|| panic!("cut line of ss: {line}")).to_owned();
    let (mut state, mut received) = (next(), next());
    if received.parse::<u64>().is_err() {
        // The first column was Netid.
        (state, received) = (received, next());
    }
    fields.insert("state".to_owned(), state);
    fields.insert("recv-q".to_owned(), received);
    fields.insert("send-q".to_owned(), next());
    let (local, peer) = (without_interface(&next()), without_interface(&next()));
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once(':') {
            _ if word.len() == 3 && word.starts_with(['<', '-']) && word.ends_with(['>', '-']) => ("shutdown", word),
            // Names of processes may contain spaces.
            Some(("users", value)) => {
                let mut last = value;
                while !last.ends_with("))") {
                    last = words.next().expect("users:(...) ends");
                }
                continue;
            }
            Some(("timer", value)) => {
                let mut parts = value.trim_matches(['(', ')']).splitn(3, ',');
                for name in ["timer", "timer_expires", "timer_retrans"] {
                    fields.insert(name.to_owned(), parts.next().unwrap_or_default().to_owned());
                }
                continue;
            }
            Some(("inet-sockopt", _)) => {
                let mut options = words.next().unwrap_or_default().to_owned();
                while !options.ends_with(')') {
                    options = options + " " + words.next().expect("inet-sockopt: (...) ends");
                }
                let options = options.trim_matches(['(', ')']);
                fields.insert("inet-sockopt".to_owned(), options.trim().to_owned());
                continue;
            }
            Some((name, "")) => (name, words.next().unwrap_or_default()),
            Some(pair) => pair,
            None if SPACED.contains(&word) => (word, words.next().unwrap_or_default()),
            None if FLAGS.contains(&word) => (word, ""),
            None => match word.strip_prefix("tcp-ulp-") {
                Some(name) => ("ulp", name),
                None => ("cong", word),
            },
        };
        fields.insert(name.to_owned(), value.to_owned());
    }
    SsSocket { local, peer, fields }
}

/// `127.0.0.1%lo:80` is `127.0.0.1:80`: records know the interface by its number only.
fn without_interface(address: &str) -> String {
    match (address.find('%'), address.rfind(':')) {
        (Some(interface), Some(port)) => format!("{}{}", &address[..interface], &address[port..]),
        _ => address.to_owned(),
    }
}

/// The names that occur in a text: what its `ss` was able and asked to print.
pub(crate) fn printed_fields(sockets: &[SsSocket]) -> BTreeSet<String> {
    sockets.iter().flat_map(|socket| socket.fields.keys().cloned()).collect()
}

/// Where `ss` and a snapshot of the same socket do not agree, elapsed times included.
pub(crate) fn differences(
    ss: &SsSocket,
    ours: &BTreeMap<&'static str, String>,
    printed: &BTreeSet<String>,
) -> Vec<Difference> {
    let mut names: BTreeSet<&str> = ss.fields.keys().map(String::as_str).collect();
    names.extend(ours.keys().filter(|name| printed.contains(**name) || !OPTIONAL.contains(name)));
    let difference = |field: &str| {
        let (ss, ours) = (ss.fields.get(field), ours.get(field));
        let same = match (field, ss, ours) {
            // `ss` prints a path: which path has the id cannot be told from here, unless it could not either.
            ("cgroup", Some(ss), Some(ours)) => ss.strip_prefix("unreachable:").is_none_or(|id| id == ours),
            _ => ss == ours,
        };
        (!same).then(|| Difference { field: field.to_owned(), ss: ss.cloned(), ours: ours.cloned() })
    };
    names.into_iter().filter_map(difference).collect()
}

#[test]
fn both_forms_are_taken_apart() {
    let text = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n\
        ESTAB 0 5 127.0.0.1%lo:80 10.0.0.1:99 users:((\"a b\",pid=1,fd=2)) timer:(on,040ms,1) uid:7 ino:3 sk:1f <->\n\
        \t skmem:(r0,rb1) ts cubic rtt:1/2 send 80bps pacing_rate 8bps/9bps app_limited inet-sockopt: ( a b) minrtt:1\n\
        LISTEN 0 16 [::1]:22 [::]:* ino:4 sk:2 v6only:1 --> tcp-ulp-mptcp flags:Mm\n";
    let sockets = parse(text);
    let fields = |socket: &SsSocket| -> Vec<String> {
        socket.fields.iter().map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!((sockets[0].local.as_str(), sockets[0].peer.as_str()), ("127.0.0.1:80", "10.0.0.1:99"));
    assert_eq!(
        fields(&sockets[0]).join(" "),
        "app_limited= cong=cubic inet-sockopt=a b ino=3 minrtt=1 pacing_rate=8bps/9bps recv-q=0 rtt=1/2 send=80bps \
         send-q=5 shutdown=<-> sk=1f skmem=(r0,rb1) state=ESTAB timer=on timer_expires=040ms timer_retrans=1 ts= uid=7"
    );
    assert_eq!((sockets[1].local.as_str(), sockets[1].peer.as_str()), ("[::1]:22", "[::]:*"));
    assert_eq!(
        fields(&sockets[1]).join(" "),
        "flags=Mm ino=4 recv-q=0 send-q=16 shutdown=--> sk=2 state=LISTEN ulp=mptcp v6only=1"
    );
    let netid =
        parse(&text.replace("State", "Netid State").replace("ESTAB", "tcp ESTAB").replace("LISTEN", "tcp LISTEN"));
    assert_eq!((fields(&netid[0]), fields(&netid[1])), (fields(&sockets[0]), fields(&sockets[1])));
}
