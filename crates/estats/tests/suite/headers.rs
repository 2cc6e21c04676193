//! What headers of IP and TCP say, beside what tshark says of the same segments.

use std::io::Read;
use std::net::{IpAddr, TcpListener};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::capture::{ACK, Capture, SYN, of, require};
use crate::support::polls::poll_one;
use crate::support::traffic::{Connection, RIGHT, RIGHT6, cookie, pair, sysctl};
use crate::support::{Finals, expect, load, mib, one_processor, real, require_root, wait_until};

fn headers(address: IpAddr) {
    const TTL: i128 = 77;
    const TOS: u8 = 0x48;
    one_processor();
    let pair = pair();
    let mut estats = load(true);
    let capture = Capture::start(&pair.left);
    if address.is_ipv4() {
        sysctl(&pair.right, "ipv4/ip_default_ttl", &TTL.to_string());
    } else {
        sysctl(&pair.right, "ipv6/conf/all/hop_limit", &TTL.to_string());
        sysctl(&pair.right, "ipv6/conf/veth0/hop_limit", &TTL.to_string());
    }
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let connection = Connection::across(&pair, address);
    if address.is_ipv4() {
        rustix::net::sockopt::set_ip_tos(&connection.client, TOS).expect("is set");
    } else {
        rustix::net::sockopt::set_ipv6_tclass(&connection.client, TOS.into()).expect("is set");
    }
    connection.client.set_nodelay(true).expect("is set");
    connection.exchange(3000, 5);
    let cookies = connection.cookies();
    let namespaces = [&pair.left, &pair.right];
    let poll = |side: usize| poll_one(namespaces[side], estats.map_fd(), cookies[side]).sample();
    wait_until("all is acknowledged", || (0..2).all(|side| mib(&poll(side), "StackCurRetxQueue") == 0));
    let samples = [poll(0), poll(1)];
    let segments = capture.finish();
    println!("\n{address}");
    for (side, end) in [&connection.client, &connection.server].into_iter().enumerate() {
        let (sent, received) = of(&segments, end);
        let sample = &samples[side];
        let (syn, peer_syn) = (&sent[0], &received[0]);
        assert!(syn.has(SYN) && peer_syn.has(SYN));
        expect(sample, "StackActiveOpen", "TruthValue", side as i128 + 1);
        expect(sample, "StackSndInitial", "tshark: SYN", syn.seq.into());
        expect(sample, "StackRecInitial", "tshark: peer's SYN", peer_syn.seq.into());
        expect(sample, "StackMSSSent", "tshark: SYN", syn.mss.expect("is told").into());
        expect(sample, "StackMSSRcvd", "tshark: peer's SYN", peer_syn.mss.expect("is told").into());
        expect(sample, "StackWinScaleSent", "tshark: SYN", syn.wscale.expect("is told").into());
        expect(sample, "StackWinScaleRcvd", "tshark: peer's SYN", peer_syn.wscale.expect("is told").into());
        expect(sample, "AppSndUna", "tshark: last acknowledgement received", received.last().expect("some").ack.into());
        let last = sent.iter().rev().find(|segment| segment.payload > 0).expect("data was sent");
        expect(sample, "AppSndNxt", "tshark: end of the last data", last.seq.wrapping_add(last.payload).into());
        expect(sample, "AppSndMax", "tshark: end of the last data", last.seq.wrapping_add(last.payload).into());
        expect(sample, "AppRcvNxt", "tshark: last acknowledgement sent", sent.last().expect("some").ack.into());
        expect(sample, "PathIpTtl", "tshark: last received", received.last().expect("some").ttl.into());
        expect(sample, "PathIpTosIn", "tshark: last received", received.last().expect("some").tos.into());
        expect(sample, "PathIpTosOut", "tshark: last sent", sent.last().expect("some").tos.into());
        let scaled = |segment: &crate::support::capture::Segment| {
            i128::from(segment.window) << if segment.has(SYN) { 0 } else { sent[0].wscale.expect("is told") }
        };
        expect(sample, "PerfMaxRwinSent", "tshark: largest", sent.iter().map(scaled).max().expect("some"));
        expect(sample, "PerfDataOctetsIn", "tshark: payload", received.iter().map(|s| i128::from(s.payload)).sum());
        for name in ["StackSoftErrors", "PathDupAcksOut", "StackDupAcksIn", "PerfZeroRwinSent", "PerfZeroRwinRcvd"] {
            expect(sample, name, "nothing is amiss", 0);
        }
        assert!(sent.iter().skip(1).all(|segment| segment.has(ACK)));

        let started = real(sample, "PerfStartTimeStamp");
        assert!((started - before).abs() < 5.0 && started >= before - 0.001, "{started} {before}");
        // The clock of the capture, which is the kernel's: the passive side begins with the last segment of the handshake.
        let first = if side == 0 { segments[0].time } else { segments[2].time };
        assert!((started - first).abs() < 0.05, "{started} {first}");
        let elapsed = mib(sample, "PerfElapsedSecs") as f64 + mib(sample, "PerfElapsedMicroSecs") as f64 / 1e6;
        let expected = segments.last().expect("some").time - first;
        println!("elapsed {elapsed:.6} s, tshark {expected:.6} s");
        assert!((elapsed - expected).abs() < 0.05, "{elapsed} {expected}");
    }
    assert_eq!(mib(&samples[0], "PathIpTtl"), TTL);
    assert_eq!(mib(&samples[1], "PathIpTosIn"), TOS.into());
    expect(&samples[0], "StackNagle", "TCP_NODELAY", 2);
    expect(&samples[1], "StackNagle", "untouched", 1);

    // The last value has what the last poll had, and the end.
    drop(connection);
    let last = Finals::default().of(&mut estats, cookies[0]);
    let closed = samples[0].clone().with_value(last);
    for name in ["StackSndInitial", "StackRecInitial", "StackMSSRcvd", "PathIpTtl"] {
        assert_eq!(closed.get(name), samples[0].get(name), "{name}");
    }
}

#[test]
fn headers_agree_with_tshark() {
    require_root!();
    require!("tcpdump", "tshark");
    headers(RIGHT);
    headers(RIGHT6);
}

/// A program that connects with IP options (level, option, value), sends so many bytes, and waits to be told to end.
const OPTIONS: &str = "
import socket, sys
host, port, level, option, value, size = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
s.setsockopt(int(level), int(option), bytes.fromhex(value))
s.connect((host, int(port)))
s.sendall(bytes(int(size)))
sys.stdin.read()
";

#[test]
fn options_of_ip_are_passed_over() {
    const SIZE: i128 = 5000;
    // IP_OPTIONS: three times nothing, and the end. IPV6_DSTOPTS: padding.
    const CASES: [(IpAddr, &str, &str, &str); 2] =
        [(RIGHT, "0", "4", "01010100"), (RIGHT6, "41", "59", "0000010400000000")];
    require_root!();
    require!("python3");
    let pair = pair();
    let estats = load(true);
    for (address, level, option, value) in CASES {
        let listener = pair.right.run(|| TcpListener::bind((address, 0)).expect("binds"));
        let port = listener.local_addr().expect("is bound").port().to_string();
        let mut python = pair.left.command("python3");
        let size = SIZE.to_string();
        python.args(["-c", OPTIONS, &address.to_string(), &port, level, option, value, &size]);
        let mut python = python.stdin(Stdio::piped()).spawn().expect("starts");
        let (mut server, _) = listener.accept().expect("accepts");
        server.read_exact(&mut vec![0; SIZE as usize]).expect("receives");
        let sample = poll_one(&pair.right, estats.map_fd(), cookie(&server)).sample();
        println!("{address}, with options");
        expect(&sample, "PerfHCDataOctetsIn", "sent", SIZE);
        expect(&sample, "PathIpTtl", "the default", 64);
        expect(&sample, "StackSoftErrors", "nothing is amiss", 0);
        assert!(sample.get("PerfMaxRwinSent").is_some());
        drop(python.stdin.take());
        assert!(python.wait().expect("ends").success());
    }
}
