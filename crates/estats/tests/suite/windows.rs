//! A receiver that does not read: windows of zero, queues, and what stops the sender for how long.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::capture::{Capture, SYN, Segment, of, require};
use crate::support::kernel::{running_kernel, slack};
use crate::support::polls::poll_one;
use crate::support::traffic::{Connection, RIGHT, RIGHT6, pair};
use crate::support::{expect, load, mib, one_processor, real, require_root, wait_until};

const BYTES: usize = 20_000_000;
const STALL: Duration = Duration::from_millis(1000);

fn stalled(address: IpAddr) {
    one_processor();
    let pair = pair();
    let estats = load(true);
    let capture = Capture::start(&pair.left);
    let connection = Connection::across(&pair, address);
    let [client, server] = connection.cookies();
    let sender = || poll_one(&pair.left, estats.map_fd(), client).sample();
    let receiver = || poll_one(&pair.right, estats.map_fd(), server).sample();
    println!("\n{address}");
    let stall = thread::scope(|scope| {
        scope.spawn(|| (&connection.client).write_all(&vec![7; BYTES]).expect("sends"));
        wait_until("the window is closed", || mib(&sender(), "PerfCurRwinRcvd") == 0);
        let began = Instant::now();
        // That is what is measured.
        thread::sleep(STALL);

        let (sender, receiver) = (sender(), receiver());
        let readable = i128::from(rustix::io::ioctl_fionread(&connection.server).expect("is known"));
        expect(&receiver, "AppCurAppRQueue", "FIONREAD", readable);
        expect(&receiver, "AppMaxAppRQueue", "FIONREAD", readable);
        assert!(running_kernel() < (6, 2) || mib(&receiver, "PerfCurRwinSent") == 0);
        let unsent = mib(&sender, "AppCurAppWQueue");
        println!("AppCurAppWQueue = {unsent}, AppMaxAppWQueue = {}", mib(&sender, "AppMaxAppWQueue"));
        assert!(unsent > 0 && mib(&sender, "AppMaxAppWQueue") >= unsent);
        let stall = began.elapsed();
        let mut received = vec![0; BYTES];
        (&connection.server).read_exact(&mut received).expect("receives");
        stall
    });
    wait_until("all is acknowledged", || mib(&sender(), "StackCurRetxQueue") == 0);
    let (sender, receiver) = (sender(), receiver());
    let segments = capture.finish();
    let (sent, received) = of(&segments, &connection.client);

    let closed = received.windows(2).filter(|pair| pair[1].window == 0 && pair[0].window != 0).count() as i128;
    expect(&receiver, "PerfZeroRwinSent", "tshark: windows of zero", closed);
    expect(&sender, "PerfZeroRwinRcvd", "tshark: windows of zero", closed);
    expect(&sender, "PathDupAcksOut", "probes of the window are none", 0);
    assert!(closed > 0);
    let scale = received[0].wscale.expect("is told");
    let scaled = |s: &Segment| i128::from(s.window) << if s.has(SYN) { 0 } else { scale };
    expect(&sender, "PerfMaxRwinRcvd", "tshark: largest window", received.iter().map(scaled).max().expect("some"));
    let own = received.iter().filter(|segment| !segment.has(SYN));
    expect(&receiver, "PerfMaxRwinSent", "tshark: largest window", own.map(scaled).max().expect("some"));

    let limited = real(&sender, "PerfSndLimTimeRwin") / 1000.0;
    println!(
        "SndLimTimeRwin = {limited:.3} s, stalled {:.3} s, transitions {}",
        stall.as_secs_f64(),
        mib(&sender, "PerfSndLimTransRwin")
    );
    assert!((stall.as_secs_f64() - 0.05..stall.as_secs_f64() + 0.5).contains(&limited));
    assert!(mib(&sender, "PerfSndLimTransRwin") >= 1 && mib(&sender, "PerfSndLimTransCwnd") >= 1);
    // What was out most, as the segments tell: the end of what was sent less what was acknowledged before.
    let mut all: Vec<_> = sent.iter().map(|s| (s, true)).chain(received.iter().map(|s| (s, false))).collect();
    all.sort_by(|(one, _), (other, _)| one.time.total_cmp(&other.time));
    let (mut acked, mut end, mut most) = (sent[0].seq, sent[0].seq, 0);
    for (segment, is_sent) in all {
        if is_sent {
            let after = segment.seq.wrapping_add(segment.payload);
            end = if (after.wrapping_sub(end) as i32) > 0 { after } else { end };
        } else {
            acked = segment.ack;
        }
        most = most.max(end.wrapping_sub(acked) as i32);
    }
    let queue = mib(&sender, "StackMaxRetxQueue");
    println!(
        "StackMaxRetxQueue = {queue}, tshark: most out {most}; PerfMaxPipeSize = {}",
        mib(&sender, "PerfMaxPipeSize")
    );
    // Captures see an acknowledgement before the socket has done with it, and the segments that leave meanwhile.
    assert!(queue <= i128::from(most) + 65_536 * i128::from(slack().pow(2)) && queue * 10 >= i128::from(most) * 9);
    let pipe = mib(&sender, "PerfMaxPipeSize");
    assert!(
        pipe >= mib(&sender, "PerfCurMSS") && pipe * 10 <= i128::from(most) * 11 + 655_360 * i128::from(slack().pow(2))
    );
}

#[test]
fn a_receiver_that_does_not_read_closes_the_window() {
    require_root!();
    require!("tcpdump", "tshark");
    stalled(RIGHT);
    stalled(RIGHT6);
}

#[test]
fn a_sender_with_nothing_to_send_is_limited_by_itself() {
    require_root!();
    let pair = pair();
    let estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    connection.exchange(10_000, 10);
    let [client, _] = connection.cookies();
    let sample = || poll_one(&pair.left, estats.map_fd(), client).sample();
    let before = sample();
    let began = Instant::now();
    // That is what is measured.
    thread::sleep(STALL);
    connection.exchange(10_000, 1);
    let (after, idle) = (sample(), began.elapsed().as_secs_f64());
    let grown = |name: &str| (real(&after, name) - real(&before, name)) / 1000.0;
    println!(
        "SndLimTimeSnd grew by {:.3} s in {idle:.3} s, SndLimTimeCwnd by {:.3} s",
        grown("PerfSndLimTimeSnd"),
        grown("PerfSndLimTimeCwnd")
    );
    assert!((idle - 0.1..=idle + 0.1).contains(&grown("PerfSndLimTimeSnd")));
    assert!(grown("PerfSndLimTimeCwnd") < 0.1 && grown("PerfSndLimTimeRwin") == 0.0);
    assert!(mib(&after, "PerfSndLimTransSnd") >= mib(&before, "PerfSndLimTransSnd"));
}
