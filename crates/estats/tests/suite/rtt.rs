//! Round-trip times, beside those that tshark makes of the acknowledgements.

use std::io::{Read, Write};
use std::net::IpAddr;

use crate::support::capture::{Capture, of, require};
use crate::support::kernel::slack;
use crate::support::polls::poll_one;
use crate::support::traffic::{Connection, RIGHT, RIGHT6, pair, single_segments};
use crate::support::{Finals, expect, load, one_processor, real, require_root, wait_until};

fn samples(address: IpAddr) {
    const LONE: usize = 5;
    one_processor();
    let pair = pair();
    single_segments(&pair);
    let mut estats = load(false);
    let capture = Capture::start(&pair.left);
    let connection = Connection::across(&pair, address);
    connection.client.set_nodelay(true).expect("is set");
    // One segment each way: no two acknowledgements wait together, where the kernel would make one of them.
    connection.exchange(500, 40);
    // The peer waits some 40 ms before it acknowledges a lone segment that it does not answer.
    for _ in 0..LONE {
        (&connection.client).write_all(&[7]).expect("sends");
        (&connection.server).read_exact(&mut [0]).expect("receives");
        wait_until("it is acknowledged", || {
            let polled = poll_one(&pair.left, estats.map_fd(), connection.cookies()[0]);
            polled.message().header().idiag_wqueue.get() == 0
        });
    }
    let [client, _] = connection.cookies();
    let sample = poll_one(&pair.left, estats.map_fd(), client).sample();
    let segments = capture.finish();
    let (sent, received) = of(&segments, &connection.client);

    // Nothing is lost: each acknowledgement of something new gives one sample, from the newest segment that it covers.
    let mut times = Vec::new();
    let mut acked = sent[0].seq;
    for segment in &received {
        if (segment.ack.wrapping_sub(acked) as i32) <= 0 {
            continue;
        }
        acked = segment.ack;
        let covered = sent.iter().rev().find(|s| {
            let end = s.seq.wrapping_add(s.payload).wrapping_add(u32::from(s.has(2)));
            end != s.seq && (segment.ack.wrapping_sub(end) as i32) >= 0 && s.time <= segment.time
        });
        times.push((segment.time - covered.expect("was sent").time) * 1000.0);
    }
    println!("\n{address}: {} samples by tshark", times.len());
    expect(&sample, "PathCountRTT", "tshark: acknowledgements of something new", times.len() as i128);
    let sum: f64 = times.iter().sum();
    let longest = times.iter().fold(0.0_f64, |a, &b| a.max(b));
    let shortest = times.iter().fold(f64::MAX, |a, &b| a.min(b));
    for (name, expected, within) in [
        ("PathSumRTT", sum, 0.1 * sum + 0.2 * times.len() as f64),
        ("PathHCSumRTT", sum, 0.1 * sum + 0.2 * times.len() as f64),
        ("PathMaxRTT", longest, 2.0),
        ("PathMinRTT", shortest, 0.2),
        ("PathSampleRTT", times[times.len() - 1], 2.0),
    ] {
        let found = real(&sample, name);
        println!("{name} = {found:.3} ms, tshark {expected:.3} ms");
        assert!((found - expected).abs() <= within * f64::from(slack()), "{name}");
    }
    assert!(longest > 35.0, "acknowledgements were delayed");
    let smoothed = real(&sample, "PerfSmoothedRTT");
    assert!(shortest <= smoothed && smoothed <= longest);

    drop(connection);
    let last = Finals::default().of(&mut estats, client);
    assert!(last.raw.count_rtt as usize >= times.len() && f64::from(last.raw.max_rtt) >= longest * 900.0);
}

/// Its sample is taken before any program sees the socket.
#[test]
fn the_handshake_of_an_accepted_connection_is_a_sample() {
    require_root!();
    let pair = pair();
    let mut estats = load(false);
    for address in [RIGHT, RIGHT6] {
        let connection = Connection::across(&pair, address);
        let [_, server] = connection.cookies();
        let first = poll_one(&pair.right, estats.map_fd(), server).sample();
        let shortest = f64::from(first.info.and_then(|info| info.min_rtt()).expect("is sampled")) / 1000.0;
        println!("{address}: {shortest} ms");
        expect(&first, "PathCountRTT", "SYN-ACK", 1);
        for name in ["PathSampleRTT", "PathMinRTT", "PathMaxRTT", "PathHCSumRTT", "PerfSmoothedRTT"] {
            assert_eq!(real(&first, name), shortest, "{name}");
        }
        connection.exchange(1000, 20);
        let shortest = poll_one(&pair.right, estats.map_fd(), server).sample().info.and_then(|info| info.min_rtt());
        drop(connection);
        let last = Finals::default().of(&mut estats, server);
        // What ends it is a sample as well.
        assert!((1..=shortest.expect("is sampled")).contains(&last.raw.min_rtt), "{shortest:?}: {last:?}");
        assert!(last.raw.count_rtt >= 20);
    }
}

#[test]
fn round_trip_times_agree_with_tshark() {
    require_root!();
    require!("tcpdump", "tshark");
    samples(RIGHT);
    samples(RIGHT6);
}
