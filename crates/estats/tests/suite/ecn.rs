//! Congestion told by marks (RFC 3168): nftables sets CE.

use std::net::IpAddr;

use crate::support::capture::{Capture, ECE, SYN, of, require};
use crate::support::nft::{counted, incoming};
use crate::support::polls::poll_one;
use crate::support::traffic::{Connection, RIGHT, RIGHT6, congestion_control, pair, single_segments, sysctl};
use crate::support::{expect, load, mib, one_processor, require_root, wait_until};

const CWR: u16 = 128;

fn marked(address: IpAddr) {
    one_processor();
    let pair = pair();
    single_segments(&pair);
    congestion_control(&pair, "reno");
    for namespace in [&pair.left, &pair.right] {
        sysctl(namespace, "ipv4/tcp_ecn", "1");
    }
    let ip = if address.is_ipv4() { "ip" } else { "ip6" };
    let mark = format!("{ip} ecn ect0 numgen random mod 50 == 0 {{}} {ip} ecn set ce");
    incoming(&pair.right, &[("marked", mark.as_str())]);
    incoming(&pair.left, &[("echoed", "tcp flags & (ecn | syn) == ecn {}")]);
    let estats = load(true);
    let capture = Capture::start(&pair.left);
    let connection = Connection::across(&pair, address);
    connection.upload(4_000_000);
    let [client, server] = connection.cookies();
    wait_until("all is acknowledged", || {
        mib(&poll_one(&pair.left, estats.map_fd(), client).sample(), "StackCurRetxQueue") == 0
    });
    let sender = poll_one(&pair.left, estats.map_fd(), client).sample();
    let receiver = poll_one(&pair.right, estats.map_fd(), server).sample();
    let marks = i128::from(counted(&pair.right, "marked"));
    let segments = capture.finish();
    let (sent, received) = of(&segments, &connection.client);
    println!("\n{address}: {marks} marks");
    assert!(marks > 0);

    expect(&receiver, "PathCERcvd", "marks", marks);
    let kernel = receiver.info.expect("is there").received_ce().map(i128::from);
    assert!(kernel.is_none_or(|kernel| kernel == marks), "tcp_info.received_ce {kernel:?}");
    let echoes: Vec<_> = received.iter().filter(|segment| !segment.has(SYN)).map(|segment| segment.has(ECE)).collect();
    let begun = echoes.windows(2).filter(|pair| pair == &[false, true]).count() + usize::from(echoes[0]);
    expect(&receiver, "PathECESent", "tshark: runs of ECE", begun as i128);
    expect(&sender, "PathECNsignals", "segments with ECE", i128::from(counted(&pair.left, "echoed")));
    expect(&sender, "StackECN", "negotiated", 1);
    expect(&receiver, "StackECN", "negotiated", 1);
    assert_eq!(sender.get("StackSendStall"), None, "CWR may be due to ECN");
    // Each reduction is told to the peer by one segment with CWR; the last one may have had none to go with.
    let told = sent.iter().filter(|segment| segment.has(CWR) && !segment.has(SYN)).count() as i128;
    let signals = mib(&sender, "PerfCongSignals");
    println!("PerfCongSignals = {signals}, tshark: CWR = {told}");
    assert!(signals == told || signals == told + 1);
    assert_eq!(mib(&sender, "StackFastRetran"), 0);
}

#[test]
fn marks_are_counted_and_echoed() {
    require_root!();
    require!("nft", "tcpdump", "tshark");
    marked(RIGHT);
    marked(RIGHT6);
}

#[test]
fn who_did_not_ask_for_ecn_is_told() {
    require_root!();
    let pair = pair();
    let estats = load(false);
    // The client asks; the server does not accept.
    sysctl(&pair.left, "ipv4/tcp_ecn", "1");
    sysctl(&pair.right, "ipv4/tcp_ecn", "0");
    sysctl(&pair.right, "ipv4/tcp_timestamps", "0");
    sysctl(&pair.right, "ipv4/tcp_sack", "0");
    let connection = Connection::across(&pair, RIGHT);
    let [client, server] = connection.cookies();
    let client = poll_one(&pair.left, estats.map_fd(), client).sample();
    let server = poll_one(&pair.right, estats.map_fd(), server).sample();
    for name in ["StackECN", "StackTimeStamps", "StackWillSendSACK", "StackWillUseSACK"] {
        assert_eq!(client.get(name).expect("is known").to_string(), "peerDisabled", "{name}");
        assert_eq!(server.get(name).expect("is known").to_string(), "selfDisabled", "{name}");
    }
}
