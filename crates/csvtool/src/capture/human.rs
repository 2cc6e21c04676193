//! A stream for people.

use streams::analysis::Report;

use crate::listing::People;
use crate::listing::human::{bytes, end, known, micros, percent, rate, seconds};

/// What people see of a stream.
pub const PEOPLE: People<Report> = People { header: &HEADER, row };

const HEADER: [&str; 16] = [
    "SOURCE",
    "DESTINATION",
    "STATE",
    "TIME",
    "PACKETS",
    "BYTES",
    "RATE",
    "PEAK",
    "DELAY MIN/AVG/MAX",
    "RETRANS",
    "SPURIOUS",
    "OOO",
    "GAPS",
    "DUPACK",
    "ZERO WINDOW",
    "HEALTH",
];

/// The cells of a stream, with tabs between.
fn row(stream: &Report) -> String {
    let counters = &stream.counters;
    let delay = stream.delay.map(|delay| [delay.min, delay.avg.round() as u32, delay.max].map(micros).join("/"));
    [
        end(stream.flow.source.ip(), stream.flow.source.port),
        end(stream.flow.destination.ip(), stream.flow.destination.port),
        stream.state.name().to_owned(),
        seconds(stream.uptime.as_secs_f64()),
        counters.packets.to_string(),
        bytes(counters.bytes),
        known(stream.avg_bitrate().map(rate)),
        known(stream.max_bitrate.map(|bits| rate(bits as f64))),
        known(delay),
        with_share(counters.retransmits.into(), counters.packets),
        counters.spurious_retransmits.to_string(),
        counters.out_of_order.to_string(),
        counters.gaps.to_string(),
        counters.duplicate_acks.to_string(),
        match counters.zero_window_events {
            0 => "0".to_owned(),
            events => format!("{events} ({})", seconds(stream.zero_window_time.as_secs_f64())),
        },
        format!("{:.1}", stream.health_score),
    ]
    .join("\t")
}

/// How many, and what part of all that is.
pub(super) fn with_share(count: u64, all: u64) -> String {
    match count {
        0 => "0".to_owned(),
        _ => format!("{count} ({})", percent(count as f64 / all.max(1) as f64)),
    }
}
