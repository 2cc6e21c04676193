//! The table of variables in docs/estats.md: made of the variables themselves, and of the oracles that tests here compare
//! each with.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use estats::{Exactness, LISTENER_VARIABLES, Needs, Table, Unit, variables};

/// What says that a variable is right, the module here that asks it, and the variables.
const ORACLES: &[(&str, &str, &str)] = &[
    (
        "`ss`",
        "poll",
        "PerfSegsOut PerfDataSegsOut PerfDataOctetsOut PerfHCDataOctetsOut PerfOctetsRetrans PerfSegsIn PerfDataSegsIn \
         PerfCurMSS PerfPipeSize PerfSmoothedRTT PerfCurRTO PerfCurCwnd PerfCurRwinRcvd PathRetranThresh PathRTTVar \
         PathRcvRTT AppThruOctetsAcked AppHCThruOctetsAcked AppThruOctetsReceived AppHCThruOctetsReceived AppCurAppWQueue \
         StackState",
    ),
    ("`RetransSegs` of the namespace", "loss", "PerfSegsRetrans"),
    ("payload that nftables sees arrive", "loss", "PerfDataOctetsIn PerfHCDataOctetsIn"),
    ("`TCPSackRecovery`, `TCPRenoRecovery`", "loss", "StackFastRetran"),
    ("`TCPTimeouts`", "loss, timeouts", "PerfTimeouts StackSubsequentTimeouts StackCurTimeoutCount"),
    (
        "`TCPTimeouts`, `TCPSackRecovery`, `TCPLossProbeRecovery`; segments with CWR",
        "loss, growth, ecn",
        "PerfCongSignals",
    ),
    (
        "undos in netstat",
        "loss, timeouts, scripted",
        "StackCongOverCount StackSpuriousFrDetected StackSpuriousRtoDetected",
    ),
    ("`TCPDSACKRecvSegs`", "loss", "StackDSACKDups"),
    ("segments with SACK that nftables counts", "loss", "StackSACKsRcvd"),
    ("tshark: blocks", "loss", "StackSACKBlocksRcvd"),
    ("tshark: duplicate ACKs", "loss", "StackDupAcksIn PathDupAcksOut PathDupAckEpisodes"),
    ("what was lost by script; tshark: SACK edges", "scripted, loss", "StackCurReasmQueue StackMaxReasmQueue"),
    ("bounds: window before, ssthresh after", "loss, growth", "PathPreCongSumCwnd StackMaxSsthresh StackMinSsthresh"),
    ("bounds: shortest and longest RTT", "loss", "PathPreCongSumRTT PathPostCongSumRTT PathPostCongCountRTT"),
    (
        "tshark: times of acknowledgements",
        "rtt",
        "PathSampleRTT PathMaxRTT PathMinRTT PathSumRTT PathHCSumRTT PathCountRTT",
    ),
    ("polls, every few milliseconds", "timeouts", "PathMaxRTO PathMinRTO"),
    ("first of a series", "timeouts", "StackAbruptTimeouts"),
    ("how long all was lost", "timeouts, poll", "PerfSndLimTimeCwnd"),
    ("how long the window was closed", "windows", "PerfSndLimTimeRwin PerfSndLimTransRwin PerfSndLimTransCwnd"),
    ("length of a pause", "windows", "PerfSndLimTimeSnd PerfSndLimTransSnd"),
    (
        "tshark: windows",
        "windows, headers",
        "PerfCurRwinSent PerfMaxRwinSent PerfZeroRwinSent PerfMaxRwinRcvd PerfZeroRwinRcvd",
    ),
    ("`FIONREAD`", "windows", "AppCurAppRQueue AppMaxAppRQueue"),
    ("octets written and not sent", "windows", "AppMaxAppWQueue"),
    ("tshark: sent less acknowledged", "windows, scripted", "PerfMaxPipeSize StackCurRetxQueue StackMaxRetxQueue"),
    ("tshark: first and last segment", "headers", "PerfStartTimeStamp PerfElapsedSecs PerfElapsedMicroSecs"),
    (
        "tshark: SYN, both",
        "headers",
        "StackActiveOpen StackMSSSent StackMSSRcvd StackWinScaleSent StackWinScaleRcvd StackSndInitial StackRecInitial",
    ),
    ("tshark: last segments", "headers", "AppSndUna AppSndNxt AppSndMax AppRcvNxt PathIpTtl PathIpTosIn PathIpTosOut"),
    ("`TCP_NODELAY`", "headers", "StackNagle"),
    ("sysctls of both sides", "ecn", "StackTimeStamps StackECN StackWillSendSACK StackWillUseSACK"),
    ("marks that nftables sets", "ecn", "PathCERcvd"),
    ("segments with ECE that nftables counts", "ecn", "PathECNsignals"),
    ("tshark: runs of ECE", "ecn", "PathECESent"),
    ("reno, by the book", "growth", "StackSlowStart StackCongAvoid StackMaxSsCwnd StackMaxCaCwnd PerfCurSsthresh"),
    ("a pause longer than a timeout", "growth", "StackOtherReductions"),
    ("drops of the device's queue", "growth", "StackSendStall"),
    ("MTU changed by script", "growth", "StackMaxMSS StackMinMSS"),
    (
        "segments made by hand",
        "scripted",
        "PathNonRecovDAEpisodes PathSumOctetsReordered PathNonRecovDA StackSoftErrors StackSoftErrorReason",
    ),
    ("state of the script", "timeouts, scripted", "StackInRecovery"),
];

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Octets => "octets",
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Microseconds => "µs",
    }
}

/// The tables, as they have to be in the page.
fn tables() -> String {
    let mut oracles = HashMap::new();
    for (oracle, module, names) in ORACLES {
        for name in names.split_whitespace() {
            let earlier = oracles.insert(name.to_owned(), format!("{oracle} ({module})"));
            assert_eq!(earlier, None, "{name} has two");
        }
    }
    let mut text = String::new();
    for table in [Table::Perf, Table::Path, Table::Stack, Table::App] {
        text += &format!(
            "### {table:?}\n\n| no. | variable | type | unit | takes | exact | since | source | oracle (test) |\n"
        );
        text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        for variable in variables().filter(|variable| variable.table == table) {
            let needs = match variable.needs {
                Needs::Poll => "poll",
                Needs::Value => "programs",
                Needs::Segments => "segments",
            };
            let exactness = match variable.exactness {
                Exactness::Exact => "exact",
                Exactness::Sampled => "sampled",
                Exactness::Derived => "derived",
            };
            let oracle = oracles.remove(&variable.short_name()).unwrap_or_else(|| panic!("{variable} has no oracle"));
            text += &format!(
                "| {} | {} | {:?} | {} | {needs} | {exactness} | {} | {} | {oracle} |\n",
                variable.number,
                variable.name,
                variable.syntax,
                unit(variable.unit),
                variable.since,
                variable.source
            );
        }
        text += "\n";
    }
    assert!(oracles.is_empty(), "{oracles:?}");
    text += "### Listener\n\n| no. | variable | type | source |\n| --- | --- | --- | --- |\n";
    for variable in LISTENER_VARIABLES {
        text += &format!("| {} | {} | {:?} | {} |\n", variable.number, variable.name, variable.syntax, variable.source);
    }
    text
}

#[test]
fn the_page_has_each_variable_with_its_source_and_oracle() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/estats.md");
    let expected = tables();
    let text = fs::read_to_string(&page).expect("is there");
    let begin = "<!-- tables: made by the test `documentation` -->\n\n";
    let (_, found) = text.split_once(begin).expect("has a place for them");
    let (found, _) = found.split_once("\n<!-- end of tables -->").expect("which ends");
    if found != expected {
        let proposal = Path::new(env!("CARGO_TARGET_TMPDIR")).join("estats-tables.md");
        fs::write(&proposal, expected).expect("is written");
        panic!("the tables of {} are not those of the code; these are in {}", page.display(), proposal.display());
    }
}
