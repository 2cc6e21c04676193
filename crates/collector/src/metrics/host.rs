//! The host's sockets by state, counted when they are asked for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use inetdiag::{AddressFamily, InetDiagMsg, TcpState};
use netlink_packet_sock_diag::inet::ExtensionFlags;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::filter::States;
use crate::source::{DumpError, DumpRequest, DumpSource, RECEIVE_BUFFER_LEN, Whose};

/// What was counted is told again for so long: whoever asks in this time costs no dump.
const FRESH: Duration = Duration::from_secs(1);

const STATES: [(TcpState, &str); 11] = [
    (TcpState::Established, "established"),
    (TcpState::SynSent, "syn_sent"),
    (TcpState::SynRecv, "syn_recv"),
    (TcpState::FinWait1, "fin_wait1"),
    (TcpState::FinWait2, "fin_wait2"),
    (TcpState::TimeWait, "time_wait"),
    (TcpState::Close, "close"),
    (TcpState::CloseWait, "close_wait"),
    (TcpState::LastAck, "last_ack"),
    (TcpState::Listen, "listen"),
    (TcpState::Closing, "closing"),
];

/// `tcp_connections_total{state}`, `tcp_tx_queued_bytes_total`, `tcp_rx_queued_bytes_total`: gauges, named as Vector's
/// `host_metrics` names them. Where sockets cannot be counted they are absent.
pub(super) struct HostSockets {
    connections: IntGaugeVec,
    tx_queued: IntGauge,
    rx_queued: IntGauge,
    dumps: IntCounter,
    errors: IntCounterVec,
    counter: Mutex<Counter>,
}

struct Counter {
    dumps: Vec<(DumpSource, DumpRequest)>,
    answered: bool,
    buffer: Vec<u8>,
    counted_at: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    by_state: [i64; 16],
    tx_queued: i64,
    rx_queued: i64,
}

impl HostSockets {
    /// `errors` counts dumps that fail, by type.
    pub(super) fn new(errors: IntCounterVec) -> prometheus::Result<Self> {
        let opts = Opts::new("tcp_connections_total", "TCP sockets of this host, IPv4 and IPv6, by state.");
        Ok(Self {
            connections: IntGaugeVec::new(opts, &["state"])?,
            tx_queued: IntGauge::new(
                "tcp_tx_queued_bytes_total",
                "Bytes in the send queues of all TCP sockets of this host, not acknowledged yet.",
            )?,
            rx_queued: IntGauge::new(
                "tcp_rx_queued_bytes_total",
                "Bytes in the receive queues of all TCP sockets of this host, not read yet.",
            )?,
            dumps: IntCounter::new("tcpinfo_host_dumps_total", "Dumps made to count the sockets of this host.")?,
            errors,
            counter: Mutex::new(Counter::new()),
        })
    }
}

impl Collector for HostSockets {
    fn desc(&self) -> Vec<&Desc> {
        [self.connections.desc(), self.tx_queued.desc(), self.rx_queued.desc(), self.dumps.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Whoever comes while another counts waits, and is told the same.
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        if counter.counted_at.is_none_or(|at| at.elapsed() >= FRESH) {
            self.dumps.inc();
            match counter.count() {
                Ok(counts) => {
                    for (state, label) in STATES {
                        let number = usize::from(state.number());
                        self.connections.with_label_values(&[label]).set(counts.by_state[number]);
                    }
                    self.tx_queued.set(counts.tx_queued);
                    self.rx_queued.set(counts.rx_queued);
                    counter.counted_at = Some(Instant::now());
                }
                Err(error) => {
                    self.errors.with_label_values(&[error.label()]).inc();
                    tracing::debug!(%error, "the sockets of this host could not be counted");
                    counter.counted_at = None;
                    return self.dumps.collect();
                }
            }
        }
        [self.connections.collect(), self.tx_queued.collect(), self.rx_queued.collect(), self.dumps.collect()].concat()
    }
}

impl Counter {
    fn new() -> Self {
        let dumps = vec![dump(Whose::Everybody)];
        Self { dumps, answered: false, buffer: vec![0; RECEIVE_BUFFER_LEN], counted_at: None }
    }

    fn count(&mut self) -> Result<Counts, DumpError> {
        match self.count_once() {
            Err(DumpError::Kernel(_)) if !self.answered && self.dumps.len() == 1 => {
                self.dumps = AddressFamily::ALL.map(|family| dump(Whose::Family(family))).into();
                self.count_once()
            }
            outcome => outcome,
        }
    }

    fn count_once(&mut self) -> Result<Counts, DumpError> {
        let Self { dumps, buffer, .. } = self;
        let mut counts = Counts::default();
        for (source, request) in dumps {
            match source.dump(request, buffer, |message| counts.add(message.header())).1 {
                // The table changes while it is read: that is no reason not to tell of it.
                Ok(()) | Err(DumpError::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        self.answered = true;
        Ok(counts)
    }
}

impl Counts {
    fn add(&mut self, socket: &InetDiagMsg) {
        if let Some(count) = self.by_state.get_mut(usize::from(socket.idiag_state)) {
            *count += 1;
        }
        // The queues of a listener hold connections, not bytes.
        if socket.state() != Some(TcpState::Listen) {
            self.tx_queued += i64::from(socket.idiag_wqueue.get());
            self.rx_queued += i64::from(socket.idiag_rqueue.get());
        }
    }
}

fn dump(whose: Whose) -> (DumpSource, DumpRequest) {
    let request = DumpRequest::connections(whose, ExtensionFlags::empty(), States::EVERY, &[]);
    (DumpSource::default(), request)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn sockets() -> HostSockets {
        let errors = IntCounterVec::new(Opts::new("errors", "Errors."), &["type"]).expect("a name");
        HostSockets::new(errors).expect("names")
    }

    fn listening(sockets: &HostSockets) -> i64 {
        sockets.collect();
        sockets.connections.with_label_values(&["listen"]).get()
    }

    #[test]
    fn who_asks_again_within_a_second_is_told_the_same() {
        let sockets = sockets();
        let _first = TcpListener::bind("127.0.0.1:0").expect("binds");
        let before = listening(&sockets);
        assert!(before >= 1);
        let dumped_at = sockets.counter.lock().expect("no panic").counted_at;
        listening(&sockets);
        let mut counter = sockets.counter.lock().expect("no panic");
        assert_eq!(counter.counted_at, dumped_at);
        counter.counted_at = dumped_at.and_then(|at| at.checked_sub(FRESH));
        drop(counter);
        listening(&sockets);
        assert_ne!(sockets.counter.lock().expect("no panic").counted_at, dumped_at);
    }

    /// As on a kernel that does not know the request for both.
    #[test]
    fn each_family_is_asked_for_where_both_are_refused() {
        let sockets = sockets();
        let _first = TcpListener::bind("127.0.0.1:0").expect("binds");
        let refused =
            DumpRequest::connections(Whose::Everybody, ExtensionFlags::empty(), States::EVERY, &[1, 4, 200, 0]);
        sockets.counter.lock().expect("no panic").dumps[0].1 = refused;
        assert!(listening(&sockets) >= 1);
        assert_eq!(sockets.counter.lock().expect("no panic").dumps.len(), 2);
    }

    #[test]
    fn what_cannot_be_counted_is_absent_and_an_error() {
        let sockets = sockets();
        {
            let mut counter = sockets.counter.lock().expect("no panic");
            counter.answered = true;
            counter.dumps[0].1 =
                DumpRequest::connections(Whose::Everybody, ExtensionFlags::empty(), States::EVERY, &[1, 4, 200, 0]);
        }
        assert_eq!(sockets.collect().len(), 1, "only the number of dumps is known");
        assert_eq!(sockets.errors.with_label_values(&["dump_kernel"]).get(), 1);
    }
}
