//! Single segments, lost and made by hand: what is expected is worked out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use estats::{Estats, Sample};
use netlab::{Namespace, Pair};

use crate::support::capture::require;
use crate::support::kernel::running_kernel;
use crate::support::nft::{clear, counted, incoming};
use crate::support::polls::{Polled, poll, poll_one};
use crate::support::raw::{Crafted, Raw};
use crate::support::traffic::{
    Connection, LEFT, RIGHT, congestion_control, cookie, pair, shortest_timeout, single_segments, sysctl,
};
use crate::support::{expect, load, mib, real, require_root, wait_until};

/// Payload of a full segment without timestamps.
const FULL: usize = 1460;

/// A connection without timestamps, which hand-made segments would have to guess.
fn plain_connection(pair: &Pair) -> Connection {
    single_segments(pair);
    congestion_control(pair, "reno");
    sysctl(&pair.left, "ipv4/tcp_timestamps", "0");
    let connection = Connection::across(pair, RIGHT);
    connection.client.set_nodelay(true).expect("is set");
    connection.exchange(1000, 5);
    connection
}

/// Sends to the server what looks as if the client had sent it.
fn as_client(pair: &Pair, connection: &Connection) -> Raw {
    let [own, peer] = [connection.client.local_addr(), connection.client.peer_addr()];
    Raw::new(&pair.left, own.expect("is bound"), peer.expect("is there"))
}

fn sample(estats: &Estats, namespace: &Namespace, end: &TcpStream) -> Sample {
    poll_one(namespace, estats.map_fd(), cookie(end)).sample()
}

#[test]
fn a_hole_that_stays() {
    require_root!();
    require!("nft");
    let pair = pair();
    let estats = load(true);
    let connection = plain_connection(&pair);
    let sender = || sample(&estats, &pair.left, &connection.client);
    let receiver = || sample(&estats, &pair.right, &connection.server);
    // The first of four segments is lost as often as it is sent.
    let next = mib(&sender(), "AppSndNxt") as u32;
    incoming(&pair.right, &[("lost", &format!("tcp sequence {next} {{}} drop"))]);
    (&connection.client).write_all(&[7; 4 * FULL]).expect("is taken");
    // From the hole, which counts, to the end.
    wait_until("three segments have arrived", || mib(&receiver(), "StackCurReasmQueue") == 4 * FULL as i128);
    wait_until("it was sent again", || counted(&pair.right, "lost") >= 2);
    let (during, holding) = (sender(), receiver());
    expect(&holding, "StackMaxReasmQueue", "hole and three segments", 4 * FULL as i128);
    expect(&during, "StackCurRetxQueue", "four segments", 4 * FULL as i128);
    expect(&during, "StackMaxRetxQueue", "four segments", 4 * FULL as i128);
    assert!(mib(&during, "StackInRecovery") >= 2, "the peer reports a hole");
    assert!(mib(&during, "StackSACKsRcvd") >= 3);
    clear(&pair.right);
    (&connection.server).read_exact(&mut [0; 4 * FULL]).expect("receives");
    wait_until("all is acknowledged", || mib(&sender(), "StackCurRetxQueue") == 0);
    connection.exchange(1000, 1);
    let (sender, receiver) = (sender(), receiver());
    expect(&receiver, "StackCurReasmQueue", "it is filled", 0);
    expect(&receiver, "StackMaxReasmQueue", "hole and three segments", 4 * FULL as i128);
    expect(&sender, "PathNonRecovDAEpisodes", "it was sent again", 0);
    assert!(mib(&sender, "PerfCongSignals") >= 1);
}

#[test]
fn segments_that_come_late_are_no_loss() {
    const RTT: Duration = Duration::from_millis(100);
    const SYN: u8 = 2;
    const MSS_AND_SACK_PERMITTED: [u8; 8] = [2, 4, 5, 180, 1, 1, 4, 2];
    require_root!();
    require!("nft");
    let pair = pair();
    single_segments(&pair);
    congestion_control(&pair, "reno");
    sysctl(&pair.left, "ipv4/tcp_timestamps", "0");
    let estats = load(true);
    // The peer is played by hand from the beginning, and far away: the sender waits a quarter of the shortest round trip
    // before it takes a segment for lost. A busy machine may be slower still: then there is another chance.
    incoming(&pair.right, &[("unheard", "meta l4proto tcp {} drop")]);
    for attempt in 1..=10_u16 {
        let listening = SocketAddr::new(RIGHT, 5000 + attempt);
        let mut client = thread::scope(|scope| {
            let client = scope.spawn(|| pair.left.run(|| TcpStream::connect(listening).expect("connects")));
            let mut syn = None;
            wait_until("a SYN is sent", || {
                let polled = poll(&pair.left, estats.map_fd()).expect("the kernel answers");
                let to = |polled: &&Polled| polled.message().header().id.idiag_dport.get() == listening.port();
                let polled = polled.iter().find(to);
                let sent = |value: &estats::Value| value.raw.out_end != 0;
                syn = polled
                    .and_then(|one| Some((one.message().header().id.idiag_sport.get(), one.value().filter(sent)?)));
                syn.is_some()
            });
            let (port, value) = syn.expect("is there");
            let local = SocketAddr::new(LEFT, port);
            let raw = Raw::new(&pair.right, listening, local);
            thread::sleep(RTT);
            let options = &MSS_AND_SACK_PERMITTED;
            raw.send(&Crafted {
                seq: 999,
                ack: value.raw.out_end,
                window: 30_000,
                flags: SYN,
                options,
                ..Crafted::default()
            });
            client.join().expect("connects")
        });
        let raw = Raw::new(&pair.right, listening, client.local_addr().expect("is bound"));
        let sender = || sample(&estats, &pair.left, &client);
        let before = sender();
        let next = mib(&before, "AppSndNxt") as u32;
        expect(&before, "StackSndInitial", "the SYN", i128::from(next.wrapping_sub(1)));
        expect(&before, "StackRecInitial", "the SYN by hand", 999);
        let at = |segments: usize| next.wrapping_add((segments * FULL) as u32);
        (&client).write_all(&[7; 3 * FULL]).expect("is taken");
        thread::sleep(RTT);
        // The second one arrives, and the third, and then the first.
        for segments in [2, 3] {
            raw.send(&Crafted {
                seq: 1000,
                ack: next,
                window: 30_000,
                options: &sack(at(1), at(segments)),
                ..Crafted::default()
            });
        }
        raw.send(&Crafted { seq: 1000, ack: at(3), window: 30_000, ..Crafted::default() });
        wait_until("all is acknowledged", || mib(&sender(), "StackCurRetxQueue") == 0);
        let after = sender();
        if mib(&after, "PerfSegsRetrans") > 0 {
            println!("attempt {attempt}: too slow");
            continue;
        }
        expect(&after, "PathNonRecovDAEpisodes", "two of three came first", 1);
        expect(&after, "PathNonRecovDA", "two", 2);
        expect(&after, "StackDupAcksIn", "two", 2);
        expect(&after, "StackSACKsRcvd", "two", 2);
        expect(&after, "StackSACKBlocksRcvd", "two", 2);
        expect(&after, "PathSumOctetsReordered", "three segments", 3 * FULL as i128);
        expect(&after, "PerfCongSignals", "nothing is lost", 0);
        assert!((100.0..200.0).contains(&real(&after, "PathMinRTT")), "{}", real(&after, "PathMinRTT"));
        client.flush().expect("is open");
        return;
    }
    panic!("the kernel was always faster");
}

/// A SACK option with one block.
fn sack(first: u32, end: u32) -> Vec<u8> {
    let mut option = vec![1, 1, 5, 10];
    option.extend(first.to_be_bytes());
    option.extend(end.to_be_bytes());
    option
}

#[test]
fn a_fast_retransmission_that_proves_needless_is_taken_back() {
    require_root!();
    require!("nft");
    let pair = pair();
    let estats = load(true);
    let connection = plain_connection(&pair);
    let sender = || sample(&estats, &pair.left, &connection.client);
    let raw = Raw::new(
        &pair.right,
        connection.client.peer_addr().expect("is there"),
        connection.client.local_addr().expect("is bound"),
    );
    let before = sender();
    let (next, ack) = (mib(&before, "AppSndNxt") as u32, mib(&before, "AppRcvNxt") as u32);
    // The peer itself hears nothing from now on; it is played by hand.
    incoming(&pair.right, &[("lost", "meta l4proto tcp {} drop")]);
    (&connection.client).write_all(&[7; 5 * FULL]).expect("is taken");
    let at = |segments: usize| next.wrapping_add((segments * FULL) as u32);
    // All but the first arrived.
    for segments in 2..=5 {
        raw.send(&Crafted {
            seq: ack,
            ack: next,
            window: 100,
            options: &sack(at(1), at(segments)),
            ..Crafted::default()
        });
    }
    wait_until("the first is sent again", || mib(&sender(), "PerfSegsRetrans") > mib(&before, "PerfSegsRetrans"));
    assert_eq!(mib(&sender(), "StackFastRetran"), 1);
    let again = mib(&sender(), "PerfSegsRetrans") - mib(&before, "PerfSegsRetrans");
    assert_eq!(again, 1, "only the first");
    // It arrived twice, says D-SACK.
    raw.send(&Crafted { seq: ack, ack: at(5), window: 100, options: &sack(next, at(1)), ..Crafted::default() });
    wait_until("all is acknowledged", || mib(&sender(), "StackCurRetxQueue") == 0);
    let after = sender();
    expect(&after, "StackSpuriousFrDetected", "D-SACK of all that was sent again", 1);
    expect(&after, "StackCongOverCount", "the same", 1);
    expect(&after, "StackSpuriousRtoDetected", "none", 0);
    expect(&after, "StackDSACKDups", "one", 1);
    let sacks = mib(&after, "StackSACKsRcvd") - mib(&before, "StackSACKsRcvd");
    let blocks = mib(&after, "StackSACKBlocksRcvd") - mib(&before, "StackSACKBlocksRcvd");
    println!("SACKs {sacks}, blocks {blocks}: five by hand");
    assert_eq!((sacks, blocks), (5, 5));
    assert_eq!(
        mib(&after, "PerfCurCwnd"),
        mib(&before, "PerfCurCwnd").max(mib(&after, "PerfCurCwnd")),
        "it is as before"
    );
}

#[test]
fn segments_outside_of_windows_are_soft_errors() {
    require_root!();
    let pair = pair();
    let estats = load(true);
    let connection = plain_connection(&pair);
    let receiver = || sample(&estats, &pair.right, &connection.server);
    let raw = as_client(&pair, &connection);
    wait_until("all is acknowledged", || mib(&receiver(), "StackCurRetxQueue") == 0);
    let before = receiver();
    expect(&before, "StackSoftErrors", "nothing is amiss", 0);
    assert_eq!(before.get("StackSoftErrorReason"), None);
    let (expected, ack) = (mib(&before, "AppRcvNxt") as u32, mib(&before, "AppSndUna") as u32);
    let window = if running_kernel() < (6, 2) { "PerfMaxRwinSent" } else { "PerfCurRwinSent" };
    let window = mib(&before, window) as u32;
    let sound = Crafted { seq: expected, ack, window: 100, ..Crafted::default() };
    let cases = [
        ("data that came long ago", Crafted { seq: expected.wrapping_sub(10), payload: &[7; 10], ..sound.clone() }, 1),
        ("beyond the window", Crafted { seq: expected.wrapping_add(window), payload: &[7; 10], ..sound.clone() }, 2),
        ("acknowledges less than before", Crafted { ack: ack.wrapping_sub(10), ..sound.clone() }, 3),
        ("acknowledges what was never sent", Crafted { ack: ack.wrapping_add(10), ..sound.clone() }, 4),
    ];
    for (number, (what, segment, reason)) in cases.into_iter().enumerate() {
        raw.send(&segment);
        let count = number as i128 + 1;
        wait_until(what, || mib(&receiver(), "StackSoftErrors") == count);
        expect(&receiver(), "StackSoftErrorReason", what, reason);
    }
    raw.send(&sound);
    wait_until("a sound segment was seen", || mib(&receiver(), "PerfSegsIn") >= mib(&before, "PerfSegsIn") + 5);
    expect(&receiver(), "StackSoftErrors", "the same four", 4);
}

#[test]
fn a_smaller_path_is_no_congestion() {
    const SMALLER: u16 = 1200;
    require_root!();
    require!("nft");
    let pair = pair();
    // Nothing is sent again but for the smaller path.
    sysctl(&pair.left, "ipv4/tcp_early_retrans", "0");
    shortest_timeout(&pair, "10s");
    let estats = load(true);
    let connection = plain_connection(&pair);
    let sender = || sample(&estats, &pair.left, &connection.client);
    let next = mib(&sender(), "AppSndNxt") as u32;
    incoming(&pair.right, &[("lost", "meta l4proto tcp {} drop")]);
    (&connection.client).write_all(&[7; 4 * FULL]).expect("is taken");
    wait_until("all is sent", || counted(&pair.right, "lost") >= 4);
    clear(&pair.right);
    as_client(&pair, &connection).too_large(&pair.right, next, SMALLER);
    (&connection.server).read_exact(&mut [0; 4 * FULL]).expect("receives");
    wait_until("all is acknowledged", || mib(&sender(), "StackCurRetxQueue") == 0);
    connection.exchange(1000, 1);
    let sample = sender();
    expect(&sample, "PerfCurMSS", "smaller", i128::from(SMALLER) - 40);
    assert!(mib(&sample, "PerfSegsRetrans") >= 4);
    for name in ["PerfTimeouts", "PerfCongSignals", "StackFastRetran", "StackCongOverCount", "StackSpuriousRtoDetected"]
    {
        expect(&sample, name, "no timer expired, and the window stayed", 0);
    }
    assert_eq!(sample.value.expect("is counted").raw.loss_entries, 0);
}

#[test]
fn an_old_timestamp_is_a_soft_error() {
    require_root!();
    let pair = pair();
    let estats = load(true);
    let connection = Connection::across(&pair, RIGHT);
    connection.exchange(1000, 5);
    let receiver = || sample(&estats, &pair.right, &connection.server);
    let raw = as_client(&pair, &connection);
    let before = receiver();
    expect(&before, "StackSoftErrors", "nothing is amiss", 0);
    let (seq, ack) = (mib(&before, "AppRcvNxt") as u32, mib(&before, "AppSndUna") as u32);
    // Timestamps begin anywhere. If the first is ahead of the last one heard, it is taken, and then the second is behind it.
    for timestamp in [1 << 31, 1_u32] {
        let mut options = vec![1, 1, 8, 10];
        options.extend(timestamp.to_be_bytes());
        options.extend([0; 4]);
        raw.send(&Crafted { seq, ack, window: 100, options: &options, ..Crafted::default() });
    }
    wait_until("one of them was too old", || mib(&receiver(), "StackSoftErrors") >= 1);
    expect(&receiver(), "StackSoftErrorReason", "belowTSWindow", 5);
}
