//! What the Go original measures, under its names and with its buckets.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Seconds that a dump takes.
const SYSCALL_TIME: [f64; 24] = [
    0.001, 0.00125, 0.0016, 0.002, 0.0025, 0.0032, 0.004, 0.005, 0.0063, 0.0079, 0.01, 0.0125, 0.016, 0.02, 0.025,
    0.032, 0.04, 0.05, 0.063, 0.079, 0.1, 0.125, 0.16, 0.2,
];
const CONNECTIONS: [f64; 48] = [
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.5, 16.0, 20.0, 25.0, 32.0, 40.0, 50.0, 63.0, 79.0, 100.0, 125.0, 160.0,
    200.0, 250.0, 320.0, 400.0, 500.0, 630.0, 790.0, 1e3, 1250.0, 1600.0, 2e3, 2500.0, 3200.0, 4e3, 5e3, 6300.0,
    7900.0, 1e4, 12500.0, 16e3, 2e4, 25e3, 32e3, 4e4, 5e4, 63e3, 79e3, 1e7,
];
/// Bits a second.
const RATE: [f64; 45] = [
    0.0, 1.0, 10.0, 100.0, 1e3, 1.58e3, 2.51e3, 3.98e3, 6.31e3, 1e4, 1.58e4, 2.51e4, 3.98e4, 6.31e4, 1e5, 1.58e5,
    2.51e5, 3.98e5, 6.31e5, 1e6, 1.58e6, 2.51e6, 3.98e6, 6.31e6, 1e7, 1.58e7, 2.51e7, 3.98e7, 6.31e7, 1e8, 1.58e8,
    2.51e8, 3.98e8, 6.31e8, 1e9, 1.26e9, 1.58e9, 2e9, 2.51e9, 3.16e9, 3.98e9, 5.01e9, 6.31e9, 7.94e9, 1e10,
];
/// Milliseconds from poll to poll.
const POLLING_BUCKETS: usize = 30;

/// Histograms and counters of the original that nothing else here has.
#[derive(Debug, Clone)]
pub struct Original {
    /// How long dumps took, by address family; a dump of both counts for each.
    pub syscall_time: HistogramVec,
    /// Time from poll to poll.
    pub polling_interval: Histogram,
    /// Sockets that a dump told of, by address family.
    pub connection_count: HistogramVec,
    /// Connections known after a poll.
    pub cache_count: Histogram,
    /// Bits sent in a second.
    pub send_rate: Histogram,
    /// Bits received in a second.
    pub receive_rate: Histogram,
    /// Connections of which the kernel told more than is known here, by struct.
    pub large_netlink: IntCounterVec,
    /// Messages left out, by reason.
    pub netlink_skipped: IntCounterVec,
}

impl Original {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let options =
            |name: &str, help: &str, buckets: &[f64]| HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = |name: &str, help: &str, buckets: &[f64]| -> prometheus::Result<Histogram> {
            let histogram = Histogram::with_opts(options(name, help, buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let by_family = |name: &str, help: &str, buckets: &[f64]| -> prometheus::Result<HistogramVec> {
            let histogram = HistogramVec::new(options(name, help, buckets), &["af"])?;
            registry.register(Box::new(histogram.clone()))?;
            for af in ["ipv4", "ipv6"] {
                histogram.with_label_values(&[af]);
            }
            Ok(histogram)
        };
        let by_type = |name: &str, help: &str, types: &[&str]| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), &["type"])?;
            registry.register(Box::new(counter.clone()))?;
            for kind in types {
                counter.with_label_values(&[kind]);
            }
            Ok(counter)
        };
        Ok(Self {
            syscall_time: by_family(
                "tcpinfo_syscall_time_histogram",
                "Seconds that a dump of all sockets took; a dump of both address families counts for each.",
                &SYSCALL_TIME,
            )?,
            polling_interval: histogram(
                "tcpinfo_polling_interval_histogram",
                "Seconds from poll to poll.",
                &prometheus::linear_buckets(0.0, 0.001, POLLING_BUCKETS)?,
            )?,
            connection_count: by_family(
                "tcpinfo_connection_count_histogram",
                "Sockets that a dump told of.",
                &CONNECTIONS,
            )?,
            cache_count: histogram("tcpinfo_cache_count_histogram", "Connections known after a poll.", &CONNECTIONS)?,
            send_rate: histogram(
                "tcpinfo_send_rate_histogram",
                "Bits of payload sent in each second by the connections that are recorded.",
                &RATE,
            )?,
            receive_rate: histogram(
                "tcpinfo_receive_rate_histogram",
                "Bits of payload received in each second by the connections that are recorded.",
                &RATE,
            )?,
            large_netlink: by_type(
                "large_netlink_total",
                "Connections of which the kernel told more than this program knows, by struct.",
                &["LinuxTCPInfo"],
            )?,
            netlink_skipped: by_type(
                "netlink_skipped_total",
                "Socket messages left out, by reason.",
                &["malformed", "no_cookie", "family"],
            )?,
        })
    }
}
