//! How the congestion window grows and shrinks, with reno, which does so by the book.

use std::thread;
use std::time::Duration;

use crate::support::capture::require;
use crate::support::kernel::{Counters, slack};
use crate::support::nft::incoming;
use crate::support::polls::poll_one;
use crate::support::traffic::{Connection, RIGHT, congestion_control, cookie, pair, single_segments, sysctl};
use crate::support::{expect, load, mib, require_root, wait_until};

#[test]
fn slow_start_then_a_loss_then_congestion_avoidance() {
    require_root!();
    require!("nft");
    let pair = pair();
    single_segments(&pair);
    congestion_control(&pair, "reno");
    // A slow machine rests for longer than a timeout, and the window is to be what it was.
    sysctl(&pair.left, "ipv4/tcp_slow_start_after_idle", "0");
    let estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    let client = cookie(&connection.client);
    let sample = || {
        wait_until("all is acknowledged", || {
            mib(&poll_one(&pair.left, estats.map_fd(), client).sample(), "StackCurRetxQueue") == 0
        });
        poll_one(&pair.left, estats.map_fd(), client).sample()
    };
    connection.exchange(100_000, 5);
    let start = sample();
    let (count, samples) = (mib(&start, "StackSlowStart"), mib(&start, "PathCountRTT"));
    let (current, largest) = (mib(&start, "PerfCurCwnd"), mib(&start, "StackMaxSsCwnd"));
    let mss = mib(&start, "PerfCurMSS");
    println!("SlowStart = {count} in {samples} samples, window {current}, MaxSsCwnd = {largest}");
    assert!(current > 10 * mss && count > 0 && count <= samples);
    // Each growth is by the segments acknowledged at once: two, as a rule. The last may not be seen yet.
    assert!(count <= (current / mss - 10) && largest <= current && largest + 4 * mss >= current);
    assert_eq!(mib(&start, "StackCongAvoid"), 0);
    assert_eq!(start.get("StackMaxCaCwnd"), None);
    assert_eq!(start.get("StackMaxSsthresh"), None, "there is none yet");
    assert_eq!(start.get("PerfCurSsthresh"), None);

    // One segment is lost, once.
    let next = mib(&start, "AppSndNxt") as u32;
    let lose =
        format!("tcp sequence {} limit rate 1/hour burst 1 packets {{}} drop", next.wrapping_add(3 * mss as u32));
    incoming(&pair.right, &[("lost", lose.as_str())]);
    connection.exchange(100_000, 1);
    let lossy = sample();
    expect(&lossy, "PerfCongSignals", "one loss", 1);
    expect(
        &lossy,
        "PathPreCongSumCwnd",
        "the window before",
        mib(&start, "PerfCurCwnd").max(mib(&lossy, "PathPreCongSumCwnd")),
    );
    let threshold = mib(&lossy, "PerfCurSsthresh");
    expect(&lossy, "StackMaxSsthresh", "the only one", threshold);
    expect(&lossy, "StackMinSsthresh", "the only one", threshold);
    let text = pair.left.output("ss", &["-tinH"]);
    let (_, rest) = text.split_once("ssthresh:").expect("ss shows it");
    let segments: i128 = rest.split(' ').next().expect("a number").parse().expect("a number");
    assert_eq!(threshold, segments * mss, "ss");
    println!("ssthresh {threshold}, half of {}", mib(&lossy, "PathPreCongSumCwnd"));
    assert!((threshold - mib(&lossy, "PathPreCongSumCwnd") / 2).abs() <= mss, "reno halves");
    expect(&lossy, "StackOtherReductions", "none", 0);

    connection.exchange(300_000, 20);
    let avoiding = sample();
    let (count, largest) = (mib(&avoiding, "StackCongAvoid"), mib(&avoiding, "StackMaxCaCwnd"));
    println!(
        "CongAvoid = {count}, window from {threshold} to {}, MaxCaCwnd = {largest}",
        mib(&avoiding, "PerfCurCwnd")
    );
    assert!(mib(&avoiding, "PerfCurCwnd") > threshold);
    // One segment more each time; the last may not be seen yet. What was taken away between was grown as well.
    let grown = (mib(&avoiding, "PerfCurCwnd") - threshold) / mss;
    let is_plain = mib(&avoiding, "PerfCongSignals") == 1 && mib(&avoiding, "StackOtherReductions") == 0;
    assert!(
        count >= grown - 2 * i128::from(slack()) && (count <= grown + 2 || !is_plain),
        "{count} {grown} {:?}",
        avoiding.value
    );

    // Idle for longer than a timeout: the window begins anew (RFC 2861), which is no congestion signal.
    sysctl(&pair.left, "ipv4/tcp_slow_start_after_idle", "1");
    let before = mib(&avoiding, "StackOtherReductions");
    thread::sleep(Duration::from_millis(mib(&avoiding, "PerfCurRTO") as u64 * 3));
    connection.exchange(3_000, 2);
    let idle = sample();
    println!("after a pause: window {}", mib(&idle, "PerfCurCwnd"));
    assert!(mib(&idle, "PerfCurCwnd") < mib(&avoiding, "PerfCurCwnd"));
    expect(&idle, "StackOtherReductions", "the pause", before + 1);
    // A busy machine answers late, which a probe may take for a loss.
    let kernel =
        Counters::of(&pair.left).sum(&["TcpExtTCPSackRecovery", "TcpExtTCPLossProbeRecovery", "TcpExtTCPTimeouts"]);
    expect(&idle, "PerfCongSignals", "entries into CWR, Recovery and Loss", kernel);
}

#[test]
fn a_device_queue_without_room_stalls_the_sender() {
    require_root!();
    let pair = pair();
    single_segments(&pair);
    congestion_control(&pair, "reno");
    // A queue of three packets, which is emptied slowly.
    pair.left.output(
        "tc",
        &["qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "20mbit", "burst", "3000", "limit", "6000"],
    );
    let estats = load(false);
    let connection = Connection::across(&pair, RIGHT);
    connection.upload(300_000);
    let sample = poll_one(&pair.left, estats.map_fd(), cookie(&connection.client)).sample();
    let text = pair.left.output("tc", &["-s", "qdisc", "show", "dev", "veth0"]);
    let (_, rest) = text.split_once("dropped ").expect("counts drops");
    let dropped: i128 = rest.split(',').next().expect("a number").parse().expect("a number");
    let (stalls, signals) = (mib(&sample, "StackSendStall"), mib(&sample, "PerfCongSignals"));
    println!("SendStall = {stalls}, drops of the queue {dropped}, CongSignals {signals}");
    assert!(dropped > 0 && stalls > 0 && stalls <= dropped && stalls <= signals);

    let largest = mib(&sample, "StackMaxMSS");
    pair.left.output("tc", &["qdisc", "del", "dev", "veth0", "root"]);
    // A smaller packet fits from now on.
    pair.left.ip(&["link", "set", "veth0", "mtu", "1000"]);
    pair.left.ip(&["route", "replace", "10.77.0.0/24", "dev", "veth0", "mtu", "1000"]);
    connection.upload(300_000);
    let sample = poll_one(&pair.left, estats.map_fd(), cookie(&connection.client)).sample();
    println!("MaxMSS = {}, MinMSS = {}", mib(&sample, "StackMaxMSS"), mib(&sample, "StackMinMSS"));
    expect(&sample, "StackMaxMSS", "before", largest);
    expect(&sample, "StackMinMSS", "1000 - 52", 948);
    expect(&sample, "PerfCurMSS", "1000 - 52", 948);
}
