//! What is counted of extended statistics: the hooks, the last values, and what those came to.

use estats::{HookStatus, RawValue, Value};
use prometheus::{Counter, IntCounter, IntGaugeVec, Opts, Registry};

/// Name, help, and where the value is: of connections that have closed, added up.
type Total = (&'static str, &'static str, fn(&RawValue) -> u32);

const TOTALS: [Total; 11] = [
    ("timeouts", "Retransmission timeouts without backoff (Timeouts).", |it| it.timeouts),
    ("subsequent_timeouts", "Retransmission timeouts with backoff (SubsequentTimeouts).", |it| it.subsequent_timeouts),
    ("abrupt_timeouts", "Timeouts without a sign before them (AbruptTimeouts).", |it| it.abrupt_timeouts),
    ("congestion_signals", "Congestion signals (CongSignals).", |it| it.cong_signals),
    ("fast_retransmits", "Entries into fast recovery (FastRetran).", |it| it.fast_retran),
    ("send_stalls", "Times that the local interface had no room (SendStall).", |it| it.send_stall),
    ("spurious_fast_retransmits", "Fast retransmits that were in vain (SpuriousFrDetected).", |it| {
        it.spurious_fr_detected
    }),
    ("spurious_timeouts", "Timeouts that were in vain (SpuriousRtoDetected).", |it| it.spurious_rto_detected),
    ("rtt_samples", "Round-trip times sampled (CountRTT).", |it| it.count_rtt),
    ("zero_windows_sent", "Zero windows sent, with --estats=full (ZeroRwinSent).", |it| it.zero_rwin_sent),
    ("zero_windows_received", "Zero windows received, with --estats=full (ZeroRwinRcvd).", |it| it.zero_rwin_rcvd),
];

/// Counters of the programs, and of the values they kept.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Last values that came out of the ring.
    lasts: IntCounter,
    /// Those that found no room in it.
    pub(super) lost: IntCounter,
    /// Those that no destroy event followed.
    pub(super) unmatched: IntCounter,
    active: IntGaugeVec,
    totals: Vec<IntCounter>,
    rtt: Counter,
}

impl Counters {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(format!("tcpinfo_estats_{name}_total"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let active = Opts::new("tcpinfo_estats_hook_active", "Whether a hook of extended statistics is active.");
        let active = IntGaugeVec::new(active, &["hook"])?;
        registry.register(Box::new(active.clone()))?;
        let rtt = "Sum of round-trip times sampled of connections that have closed (SumRTT).";
        let rtt = Counter::new("tcpinfo_estats_rtt_seconds_total", rtt)?;
        registry.register(Box::new(rtt.clone()))?;
        Ok(Self {
            lasts: counter("lasts", "Last values of sockets that have closed.")?,
            lost: counter("lasts_lost", "Last values of sockets that were lost, because their ring was full.")?,
            unmatched: counter("lasts_unmatched", "Last values of sockets that no destroy event followed.")?,
            active,
            totals: TOTALS.iter().map(|(name, help, _)| counter(name, help)).collect::<prometheus::Result<_>>()?,
            rtt,
        })
    }

    pub(super) fn hook(&self, status: &HookStatus) {
        self.active.with_label_values(&[status.hook.name()]).set(status.is_active().into());
    }

    /// Adds up what a connection came to.
    pub(super) fn last(&self, value: Option<&Value>) {
        self.lasts.inc();
        let Some(value) = value else { return };
        for (counter, (_, _, of)) in self.totals.iter().zip(TOTALS) {
            counter.inc_by(of(&value.raw).into());
        }
        self.rtt.inc_by(value.raw.sum_rtt as f64 / 1e6);
    }
}
