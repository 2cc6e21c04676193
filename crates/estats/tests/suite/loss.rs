//! Segments that nftables loses: what the sender does about it, beside what the kernel counts for its namespace, which has
//! one connection.

use estats::{Estats, Hook, Sample, flags, variables};

use crate::support::capture::{Capture, Segment, of, require};
use crate::support::kernel::{Counters, kernel_version, running_kernel};
use crate::support::nft::{counted, counted_bytes, incoming};
use crate::support::polls::poll_one;
use crate::support::traffic::{Connection, RIGHT, RIGHT6, congestion_control, pair, single_segments};
use crate::support::{expect, load, mib, one_processor, require_root, wait_until};

const BYTES: usize = 6_000_000;

/// One upload, of whose segments this share is lost.
fn lossy(per_thousand: u32, address: std::net::IpAddr) {
    one_processor();
    let pair = pair();
    single_segments(&pair);
    congestion_control(&pair, "reno");
    let lose = format!("meta l4proto tcp meta length > 100 numgen random mod 1000 < {per_thousand} {{}} drop");
    incoming(&pair.right, &[("lost", lose.as_str()), ("arrived", "meta l4proto tcp meta length > 100 {}")]);
    // Of options, SACK is the one of kind 5.
    incoming(&pair.left, &[("sacks", "tcp option sack exists {}")]);
    let estats = load(true);
    let capture = Capture::start(&pair.left);
    let connection = Connection::across(&pair, address);
    connection.upload(BYTES);
    let [client, server] = connection.cookies();
    wait_until("all is acknowledged", || {
        mib(&poll_one(&pair.left, estats.map_fd(), client).sample(), "StackCurRetxQueue") == 0
    });
    let sample = poll_one(&pair.left, estats.map_fd(), client).sample();
    let kernel = Counters::of(&pair.left);
    let segments = capture.finish();
    let (sent, received) = of(&segments, &connection.client);
    let drops = i128::from(counted(&pair.right, "lost"));
    println!("\n{per_thousand} of 1000 lost to {address}: {drops} drops");

    expect(&sample, "PerfSegsRetrans", "RetransSegs", kernel.sum(&["TcpRetransSegs"]));
    expect(
        &sample,
        "StackFastRetran",
        "entries into Recovery",
        kernel.sum(&["TcpExtTCPSackRecovery", "TcpExtTCPRenoRecovery"]),
    );
    let timeouts = mib(&sample, "PerfTimeouts") + mib(&sample, "StackSubsequentTimeouts");
    println!("timeouts {timeouts}, TCPTimeouts {}", kernel.sum(&["TcpExtTCPTimeouts"]));
    assert_eq!(timeouts, kernel.sum(&["TcpExtTCPTimeouts"]));
    let undos = ["TcpExtTCPFullUndo", "TcpExtTCPPartialUndo", "TcpExtTCPDSACKUndo", "TcpExtTCPLossUndo"];
    expect(&sample, "StackCongOverCount", "undos", kernel.sum(&undos));
    let spurious = mib(&sample, "StackSpuriousFrDetected") + mib(&sample, "StackSpuriousRtoDetected");
    assert_eq!(spurious, mib(&sample, "StackCongOverCount"));
    expect(&sample, "StackDSACKDups", "TCPDSACKRecvSegs", kernel.sum(&["TcpExtTCPDSACKRecvSegs"]));
    expect(&sample, "StackSACKsRcvd", "segments with SACK", i128::from(counted(&pair.left, "sacks")));
    let blocks = received.iter().map(|segment| i128::from(segment.sack_blocks)).sum();
    expect(&sample, "StackSACKBlocksRcvd", "tshark: blocks", blocks);
    let duplicates = received.iter().filter(|segment| segment.is_duplicate_ack).count();
    // Where nothing is outstanding, an acknowledgement is not a duplicate of another (RFC 5681).
    let is_idle = |segment: &Segment| {
        let before = sent.iter().take_while(|earlier| earlier.time <= segment.time);
        let end = |s: &Segment| s.seq.wrapping_add(s.payload);
        let furthest =
            before.map(end).reduce(|one, other| if (other.wrapping_sub(one) as i32) > 0 { other } else { one });
        furthest == Some(segment.ack)
    };
    let idle = received.iter().filter(|segment| segment.is_duplicate_ack && is_idle(segment)).count();
    expect(&sample, "StackDupAcksIn", "tshark: duplicates", (duplicates - idle) as i128);

    let receiver = poll_one(&pair.right, estats.map_fd(), server).sample();
    let headers = if address.is_ipv4() { 20 + 32 } else { 40 + 32 };
    let arrived =
        i128::from(counted_bytes(&pair.right, "arrived")) - headers * i128::from(counted(&pair.right, "arrived"));
    expect(&receiver, "PerfHCDataOctetsIn", "payload that arrived", arrived);
    expect(&receiver, "PerfDataOctetsIn", "payload that arrived", arrived);
    let lost = i128::from(counted_bytes(&pair.right, "lost")) - headers * drops;
    println!("PerfHCDataOctetsOut = {}, arrived and lost {}", mib(&sample, "PerfHCDataOctetsOut"), arrived + lost);
    assert!(mib(&sample, "PerfHCDataOctetsOut") >= arrived + lost, "the machine may lose some itself");
    expect(&receiver, "PathDupAcksOut", "tshark: duplicates", duplicates as i128);
    let is_first = |pair: &&[Segment]| pair[1].is_duplicate_ack && !pair[0].is_duplicate_ack;
    expect(
        &receiver,
        "PathDupAckEpisodes",
        "tshark: runs of them",
        received.windows(2).filter(is_first).count() as i128,
    );
    // What the peer held out of order when it said so.
    let held = received.iter().map(|segment| i128::from(segment.sacked)).max().unwrap_or(0);
    let most = mib(&receiver, "StackMaxReasmQueue");
    println!("StackMaxReasmQueue = {most}, tshark: furthest SACK = {held}");
    // Acknowledgements of up to 44 segments may be joined.
    assert!(most >= held && most <= held + 44 * 1448);
    expect(&receiver, "StackCurReasmQueue", "all has arrived", 0);

    // Each signal is an entry into one of three states; those into Loss and CWR are the kernel's timeouts and lost tails.
    let signals = mib(&sample, "PerfCongSignals");
    let most = mib(&sample, "StackFastRetran") + timeouts + kernel.sum(&["TcpExtTCPLossProbeRecovery"]);
    println!("PerfCongSignals = {signals}, at most {most}");
    assert!(signals <= most && signals >= mib(&sample, "StackFastRetran").max(mib(&sample, "PerfTimeouts")));
    expect(&sample, "StackOtherReductions", "ends of recoveries are none", 0);
    if drops == 0 {
        // A busy machine may lose some itself, or answer late, which is taken for a loss.
        let is_clean = mib(&sample, "PerfSegsRetrans") == 0;
        assert!(!is_clean || (mib(&sample, "StackFastRetran"), signals) == (0, 0));
        return;
    }
    assert!(mib(&sample, "PerfSegsRetrans") >= drops, "what is lost is sent again");
    let present = |sample: &Sample| variables().filter(|variable| variable.of(sample).is_some()).count();
    let mut without_segments = sample.clone();
    without_segments.value.as_mut().expect("is there").raw.flags &= !flags::FULL;
    let without_programs = Sample { value: None, ..sample.clone() };
    let counts = [&sample, &without_segments, &without_programs].map(present);
    println!("{counts:?} of 113 variables: with segments, without, and without programs");
    let later = variables().filter(|variable| kernel_version(variable.since) > running_kernel()).count();
    println!("{later} of them come with later kernels");
    assert!(counts[0] + later >= 111 && counts[1] + later >= 95 && counts[2] + later >= 40);
    // All but the last signal have an RTT sample behind them.
    let after = mib(&sample, "PathPostCongCountRTT");
    assert!(after <= signals && after > 0, "{after} of {signals}");
    let mean = |sum: &str, count: i128| mib(&sample, sum) / count;
    let window = mean("PathPreCongSumCwnd", signals);
    let highest =
        mib(&sample, "StackMaxSsCwnd").max(sample.get("StackMaxCaCwnd").and_then(|d| d.to_mib()).unwrap_or(0));
    println!("mean window before a signal {window}, highest {highest}");
    assert!(window >= mib(&sample, "PerfCurMSS") && window <= highest);
    let (lowest, highest) = (mib(&sample, "StackMinSsthresh"), mib(&sample, "StackMaxSsthresh"));
    let current = mib(&sample, "PerfCurSsthresh");
    assert!(lowest <= current && current <= highest && lowest >= 2 * mib(&sample, "PerfCurMSS"));
    for (sum, count) in [("PathPreCongSumRTT", signals), ("PathPostCongSumRTT", after)] {
        let mean = crate::support::real(&sample, sum) / count as f64;
        let longest = crate::support::real(&sample, "PathMaxRTT");
        println!("{sum}: mean {mean:.3} ms, longest {longest:.3} ms");
        assert!(mean > 0.0 && mean <= longest);
    }
}

#[test]
fn nothing_is_lost() {
    require_root!();
    require!("nft", "tcpdump", "tshark");
    lossy(0, RIGHT);
}

#[test]
fn one_of_a_hundred_is_lost() {
    require_root!();
    require!("nft", "tcpdump", "tshark");
    lossy(10, RIGHT);
    lossy(10, RIGHT6);
}

#[test]
fn one_of_twenty_is_lost() {
    require_root!();
    require!("nft", "tcpdump", "tshark");
    lossy(50, RIGHT);
}

#[test]
fn without_the_tracepoint_states_are_met_at_callbacks() {
    require_root!();
    require!("nft");
    one_processor();
    let pair = pair();
    single_segments(&pair);
    congestion_control(&pair, "reno");
    incoming(&pair.right, &[("lost", "meta l4proto tcp meta length > 100 numgen random mod 100 == 0 {} drop")]);
    let (estats, statuses) = Estats::load_hooks(&[Hook::SockOps]).expect("root may load");
    let active: Vec<_> = statuses.iter().filter(|status| status.is_active()).map(|status| status.hook).collect();
    assert_eq!(active, [Hook::SockOps]);
    let connection = Connection::across(&pair, RIGHT);
    connection.upload(BYTES);
    let sample = poll_one(&pair.left, estats.map_fd(), connection.cookies()[0]).sample();
    let value = sample.value.expect("is there");
    assert!(!value.has(flags::TRACED) && !value.has(flags::FULL));
    let entries = Counters::of(&pair.left).sum(&["TcpExtTCPSackRecovery"]);
    let met = mib(&sample, "StackFastRetran");
    println!("FastRetran = {met} of {entries} entries");
    // Each is met by the retransmission that it is about, unless that could not be sent at once.
    assert!(entries > 0 && met <= entries && met * 10 >= entries * 8);
    assert!(mib(&sample, "PerfCongSignals") >= met);
}
