//! What connections came to: observed once for each, when it has ended.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry};

use super::flow::Flow;

const SECONDS: [f64; 12] = [0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 600.0, 3600.0, 86400.0];
const BYTES: [f64; 11] = [0.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11];
const RTT_SECONDS: [f64; 14] = [0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];
const SHARE: [f64; 10] = [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.8];

/// Address families, as they are on the wire.
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

/// Who began a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer: its port here is listened on.
    In,
    /// This host.
    Out,
    /// It is not known what is listened on.
    Unknown,
}

impl Direction {
    const ALL: [Self; 3] = [Self::In, Self::Out, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Unknown => "unknown",
        }
    }
}

/// Histograms by address family and direction.
#[derive(Debug, Clone)]
pub struct Closings {
    /// Looked up once: by family, then by direction.
    handles: Vec<Handles>,
}

#[derive(Debug, Clone)]
struct Handles {
    duration: Histogram,
    sent: Histogram,
    received: Histogram,
    min_rtt: Histogram,
    retransmitted: Histogram,
    rwnd_limited: Histogram,
    sndbuf_limited: Histogram,
}

impl Closings {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let make = |name: &str, help: &str, buckets: &[f64]| -> prometheus::Result<HistogramVec> {
            let options = HistogramOpts::new(format!("tcpinfo_connection_{name}"), help).buckets(buckets.to_vec());
            let histogram = HistogramVec::new(options, &["af", "direction"])?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let duration = make(
            "duration_seconds",
            "From first sight to end, of connections that began while they were looked for; 0 where no poll saw them.",
            &SECONDS,
        )?;
        let sent = make("sent_bytes", "Payload sent, retransmissions left out.", &BYTES)?;
        let received = make("received_bytes", "Payload received.", &BYTES)?;
        let min_rtt = make("min_rtt_seconds", "Lowest round-trip time.", &RTT_SECONDS)?;
        let retransmitted = make(
            "retransmitted_ratio",
            "Share of bytes sent that were sent before, of connections that sent any.",
            &SHARE,
        )?;
        let rwnd_limited = make(
            "rwnd_limited_ratio",
            "Share of the time with something to send in which the receiver's window was full.",
            &SHARE,
        )?;
        let sndbuf_limited = make(
            "sndbuf_limited_ratio",
            "Share of the time with something to send in which the send buffer was too small.",
            &SHARE,
        )?;
        let pairs = FAMILIES.iter().flat_map(|af| Direction::ALL.map(|direction| [*af, direction.label()]));
        let handles = pairs.map(|labels| Handles {
            duration: duration.with_label_values(&labels),
            sent: sent.with_label_values(&labels),
            received: received.with_label_values(&labels),
            min_rtt: min_rtt.with_label_values(&labels),
            retransmitted: retransmitted.with_label_values(&labels),
            rwnd_limited: rwnd_limited.with_label_values(&labels),
            sndbuf_limited: sndbuf_limited.with_label_values(&labels),
        });
        Ok(Self { handles: handles.collect() })
    }

    /// One that has ended. `lasted` is absent if it began before it was looked for.
    pub fn observe(&self, is_ipv6: bool, direction: Direction, lasted: Option<Duration>, flow: &Flow) {
        let handles = &self.handles[usize::from(is_ipv6) * Direction::ALL.len() + direction as usize];
        let observe = |histogram: &Histogram, value: Option<f64>| {
            if let Some(value) = value {
                histogram.observe(value);
            }
        };
        let share = |part: Option<u64>, whole: Option<u64>| {
            let (part, whole) = part.zip(whole.filter(|&whole| whole > 0))?;
            Some(part as f64 / whole as f64)
        };
        observe(&handles.duration, lasted.map(|lasted| lasted.as_secs_f64()));
        observe(&handles.sent, flow.sent.map(|bytes| bytes as f64));
        observe(&handles.received, flow.received.map(|bytes| bytes as f64));
        observe(&handles.min_rtt, flow.min_rtt.map(|rtt| f64::from(rtt) / 1e6));
        observe(&handles.retransmitted, share(flow.bytes_retrans, flow.bytes_sent));
        observe(&handles.rwnd_limited, share(flow.rwnd_limited, flow.busy_time));
        observe(&handles.sndbuf_limited, share(flow.sndbuf_limited, flow.busy_time));
    }
}
