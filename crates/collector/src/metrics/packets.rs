//! The capture of packets, asked when somebody asks.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use streams::live::{By, Choice, Gathered, Handle};

/// Name, help, and where the value is.
type Metric = (&'static str, &'static str, fn(&Gathered) -> u64);

const COUNTERS: [Metric; 9] = [
    ("tcpinfo_capture_packets_total", "Packets captured.", |it| it.capture.received),
    ("tcpinfo_capture_dropped_packets_total", "Packets for which there was no room in the ring.", |it| {
        it.capture.dropped
    }),
    ("tcpinfo_capture_freezes_total", "Times that the ring was full.", |it| it.capture.freezes),
    ("tcpinfo_capture_malformed_total", "Frames whose headers contradict each other.", |it| it.frames.malformed),
    ("tcpinfo_capture_truncated_total", "Frames cut before the end of the TCP header.", |it| it.frames.truncated),
    ("tcpinfo_capture_untracked_packets_total", "Packets of streams there was no room for.", |it| it.frames.untracked),
    ("tcpinfo_capture_copies_total", "Packets seen on another interface before.", |it| it.frames.copies),
    ("tcpinfo_capture_evicted_connections_total", "Connections forgotten early, to make room for others.", |it| {
        it.frames.evicted
    }),
    ("tcpinfo_capture_streams_seen_total", "Streams that there have been.", |it| it.seen),
];

/// What has become of packets, and how many streams they are of. Where the capture does not answer, it is absent.
struct Capture {
    handle: Handle,
    /// Whoever comes while another asks waits.
    asking: Mutex<()>,
    counters: Vec<IntCounter>,
    streams: IntGauge,
    interfaces: IntGaugeVec,
    lost: IntCounter,
}

/// Registers what is told of a capture.
pub fn register_capture(registry: &Registry, handle: Handle) -> prometheus::Result<()> {
    let counters = COUNTERS.iter().map(|(name, help, _)| IntCounter::new(*name, *help));
    let capture = Capture {
        handle,
        asking: Mutex::default(),
        counters: counters.collect::<prometheus::Result<_>>()?,
        streams: IntGauge::new("tcpinfo_capture_streams", "Streams whose packets are followed.")?,
        interfaces: IntGaugeVec::new(
            Opts::new("tcpinfo_capture_interface_up", "Whether the interface is there, up and captured on."),
            &["interface"],
        )?,
        lost: IntCounter::new(
            "tcpinfo_capture_accounts_lost_total",
            "Accounts of connections that were dropped, because polling was far behind.",
        )?,
    };
    registry.register(Box::new(capture))
}

impl Collector for Capture {
    fn desc(&self) -> Vec<&Desc> {
        let others = [self.streams.desc(), self.interfaces.desc(), self.lost.desc()].concat();
        self.counters.iter().flat_map(Collector::desc).chain(others).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let gathered = self.handle.gather(Choice { most: 0, by: By::Bytes });
        if gathered.threads < self.handle.threads() {
            tracing::warn!("the capture does not answer");
            return Vec::new();
        }
        for (counter, (_, _, value)) in self.counters.iter().zip(COUNTERS) {
            set(counter, value(&gathered));
        }
        set(&self.lost, self.handle.lost_accounts());
        self.streams.set(gathered.tracked.try_into().unwrap_or(i64::MAX));
        for interface in &gathered.interfaces {
            self.interfaces.with_label_values(&[&interface.name]).set(interface.is_up.into());
        }
        let counted = self.counters.iter().flat_map(Collector::collect);
        counted.chain(self.streams.collect()).chain(self.interfaces.collect()).chain(self.lost.collect()).collect()
    }
}

fn set(counter: &IntCounter, value: u64) {
    counter.inc_by(value.saturating_sub(counter.get()));
}
