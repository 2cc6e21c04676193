use std::collections::HashSet;

use inetdiag::{InetDiagMsg, Message, TcpInfo};
use proptest::prelude::*;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::*;
use crate::{RawValue, Value, flags};

/// A sample of an established connection: `tcp_info` of 280 bytes with these numbers at these places, and a value.
fn sample(info: &[(usize, u32)], raw: impl FnOnce(&mut RawValue)) -> Sample {
    let mut bytes = [0; 280];
    for &(at, number) in info {
        bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    }
    let mut header = InetDiagMsg::new_zeroed();
    header.idiag_state = 1;
    let mut value = Value::default();
    value.raw.flags = flags::ESTABLISHED | flags::FULL;
    raw(&mut value.raw);
    Sample {
        header: Some(header),
        info: Some(TcpInfo::decode(&bytes)),
        value: Some(value),
        time: Some(5_000_000_000),
        ..Sample::default()
    }
}

fn text(sample: &Sample, name: &str) -> String {
    sample.get(name).map_or_else(|| "absent".into(), |datum| datum.to_string())
}

#[test]
fn there_are_those_of_the_mib() {
    let count = |table| variables().filter(|variable| variable.table == table).count();
    assert_eq!([Table::Perf, Table::Path, Table::Stack, Table::App].map(count), [34, 26, 41, 12]);
    let names: HashSet<_> = variables().map(Variable::short_name).collect();
    let numbers: HashSet<_> = variables().map(|variable| (variable.table, variable.number)).collect();
    assert_eq!((names.len(), numbers.len()), (113, 113));
}

#[test]
fn what_is_not_known_is_absent() {
    for variable in variables() {
        assert_eq!(variable.of(&Sample::default()), None, "{variable}");
    }
    // Linux 3.14, and no programs.
    let old = Sample { info: Some(TcpInfo::decode(&[1; 104])), ..Sample::default() };
    for variable in variables().filter(|variable| variable.of(&old).is_some()) {
        assert!(variable.needs == Needs::Poll && ["2.6", "3.2"].contains(&variable.since), "{variable}");
    }
    // Programs that do not look at segments.
    let mut lean = sample(&[], |_| {});
    lean.value.as_mut().expect("is there").raw.flags = flags::ESTABLISHED | flags::ACTIVE;
    for variable in variables().filter(|variable| variable.needs == Needs::Segments) {
        assert_eq!(variable.of(&lean), None, "{variable}");
    }
}

#[test]
fn extremes_that_were_never_seen_are_absent() {
    let nothing = sample(&[(148, u32::MAX), (76, 0x7fff_ffff)], |_| {});
    for name in ["PathMaxRTT", "PathMinRTT", "PathSampleRTT", "StackMaxSsthresh", "StackMinSsthresh", "StackMinMSS"] {
        assert_eq!(text(&nothing, name), "absent", "{name}");
    }
    assert_eq!(text(&nothing, "PerfCurSsthresh"), "absent");
    assert_eq!(text(&nothing, "PathCountRTT"), "0");
}

#[test]
fn octets_are_segments_of_the_current_size() {
    // snd_mss, unacked, sacked, lost, retrans, snd_ssthresh, snd_cwnd
    let info = [(16, 1448), (24, 10), (28, 3), (32, 2), (36, 1), (76, 7), (80, 20)];
    let sample = sample(&info, |raw| raw.max_pipe_size = 5_000);
    assert_eq!(text(&sample, "PerfPipeSize"), (6 * 1448).to_string());
    assert_eq!(text(&sample, "PerfMaxPipeSize"), (6 * 1448).to_string(), "a poll can see more than the programs");
    assert_eq!(text(&sample, "PerfCurCwnd"), (20 * 1448).to_string());
    assert_eq!(text(&sample, "PerfCurSsthresh"), (7 * 1448).to_string());
}

#[test]
fn counters_of_32_bits_go_round_and_gauges_stay() {
    let mut wide = sample(&[(200, 5), (204, 1), (16, 65_000), (80, 100_000)], |raw| {
        raw.sum_rtt = (1 << 32) * 1000 + 2500;
    });
    assert_eq!(text(&wide, "PerfDataOctetsOut"), "5");
    assert_eq!(text(&wide, "PerfHCDataOctetsOut"), ((1u64 << 32) + 5).to_string());
    assert_eq!(text(&wide, "PerfCurCwnd"), u32::MAX.to_string());
    assert_eq!(text(&wide, "PathSumRTT"), "2.5");
    assert_eq!(text(&wide, "PathHCSumRTT"), "4294967298.5");
    wide.value = None;
    assert_eq!(text(&wide, "PathSumRTT"), "absent");
}

#[test]
fn time_goes_on_until_the_last_segment() {
    let begin = |raw: &mut RawValue| {
        (raw.start, raw.start_monotonic, raw.mstamp) = (1_000_000_000, 50, 1_000_050);
    };
    // Ages of the last data sent, received, and acknowledgement; busy_time, sndbuf_limited.
    let info = [(44, 2000), (52, 3000), (56, 1500), (168, 400_000), (184, 100_000)];
    let mut polled = sample(&info, begin);
    assert_eq!(
        (text(&polled, "PerfElapsedSecs"), text(&polled, "PerfElapsedMicroSecs")),
        ("2".into(), "500000".into())
    );
    assert_eq!(text(&polled, "PerfSndLimTimeSnd"), "3700", "up to now");
    assert_eq!(text(&polled, "PerfSndLimTimeCwnd"), "300");
    assert_eq!(text(&polled, "PerfStartTimeStamp"), "1");
    polled.time = None;
    assert_eq!(text(&polled, "PerfElapsedSecs"), "1");
    let closed = sample(&info, |raw| {
        begin(raw);
        raw.flags |= flags::CLOSED;
    });
    assert_eq!(text(&closed, "PerfElapsedSecs"), "1", "nothing comes after the end");
}

#[test]
fn sequence_numbers_go_on_from_the_first() {
    // bytes_acked, bytes_received
    let at = |opened: u32| {
        sample(&[(120, 1001), (128, 500)], |raw| {
            raw.flags |= opened;
            (raw.snd_base, raw.rcv_base) = (u32::MAX, 7);
        })
    };
    let active = at(flags::ACTIVE);
    assert_eq!(text(&active, "StackSndInitial"), u32::MAX.to_string());
    assert_eq!(text(&active, "AppSndUna"), "1000");
    assert_eq!(text(&active, "StackRecInitial"), "6");
    assert_eq!(text(&active, "AppRcvNxt"), "507");
    assert_eq!(text(&active, "StackActiveOpen"), "true");
    assert_eq!(text(&at(flags::PASSIVE), "StackSndInitial"), (u32::MAX - 1).to_string());
    let partial = at(flags::PARTIAL);
    assert_eq!((text(&partial, "StackSndInitial"), text(&partial, "AppSndUna")), ("absent".into(), "1000".into()));
}

#[test]
fn who_did_not_want_an_option_is_told_by_the_sysctl() {
    let with = |options: u32, sysctls: [u8; 4], opened: u32| {
        sample(&[(4, options << 8)], |raw| {
            raw.sysctls = u32::from_le_bytes(sysctls);
            raw.flags |= opened;
        })
    };
    let all = with(1 | 2 | 8, [0; 4], flags::ACTIVE);
    for name in ["StackTimeStamps", "StackWillSendSACK", "StackWillUseSACK", "StackECN"] {
        assert_eq!(text(&all, name), "enabled", "{name}");
    }
    let willing = with(0, [1, 1, 1, 2], flags::ACTIVE);
    assert_eq!(text(&willing, "StackTimeStamps"), "peerDisabled");
    assert_eq!(text(&willing, "StackECN"), "selfDisabled", "2 accepts, and does not ask");
    assert_eq!(text(&with(0, [1, 1, 1, 2], flags::PASSIVE), "StackECN"), "peerDisabled");
    assert_eq!(text(&with(0, [0, 1, 1, 0], flags::PASSIVE), "StackTimeStamps"), "selfDisabled");
    assert_eq!(text(&with(0, [1; 4], flags::ACTIVE), "StackWinScaleSent"), "-1");
    assert_eq!(text(&with(4 | 0x97 << 8, [1; 4], flags::ACTIVE), "StackWinScaleSent"), "9");
    assert_eq!(text(&with(4 | 0x97 << 8, [1; 4], flags::ACTIVE), "StackWinScaleRcvd"), "7");
}

#[test]
fn states_have_the_numbers_of_the_mib() {
    let mut sample = sample(&[], |_| {});
    let mut code = |state| {
        sample.header.as_mut().expect("is there").idiag_state = state;
        sample.get("StackState").expect("is known").to_mib().expect("a number")
    };
    // The kernel's ESTABLISHED to CLOSING, and NEW_SYN_RECV.
    assert_eq!((1..=12).map(&mut code).collect::<Vec<_>>(), [5, 3, 4, 6, 7, 11, 1, 8, 9, 2, 10, 4]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(message in prop::collection::vec(any::<u8>(), 0..900), value in prop::collection::vec(any::<u8>(), Value::SIZE..Value::SIZE + 9), time in any::<Option<u64>>()) {
        let mut samples = vec![Sample { time, ..Sample::default() }];
        samples.extend(Message::new(&message).ok().map(|message| Sample::of_message(&message, time)));
        let (raw, _) = RawValue::read_from_prefix(&value).expect("is long enough");
        for mut sample in samples {
            sample.info = Some(TcpInfo::decode(&message));
            sample.value = Some(Value { raw });
            for variable in variables() {
                if let Some(datum) = variable.of(&sample) {
                    let _ = (datum.to_string(), datum.to_f64(), datum.to_mib());
                }
            }
        }
        prop_assert_eq!(Value::decode(raw.as_bytes()).is_some(), raw.version == crate::VERSION && raw.size as usize >= Value::SIZE);
    }
}
