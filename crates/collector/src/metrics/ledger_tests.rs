use inetdiag::InetDiagMsg;
use prometheus::{HistogramOpts, Registry};

use super::*;

const FULL_INFO: usize = 232;
const ESTABLISHED: u8 = 1;
const SYN_SENT: u8 = 2;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;

/// Counters of a socket. All bytes sent are acknowledged.
#[derive(Clone, Copy, Default)]
struct Socket {
    state: u8,
    sent: u64,
    retrans: u64,
    acked: u64,
    received: u64,
    data_segs_in: u32,
    port: u16,
    /// Sent, and not acknowledged.
    in_flight: u32,
    /// Data sent, and what was delivered, in segments, where nothing was sent twice.
    segments: Option<(u32, u32)>,
}

impl Socket {
    fn message(self, cookie: u32) -> Vec<u8> {
        let mut bytes = vec![0; InetDiagMsg::SIZE];
        (bytes[0], bytes[1]) = (2, self.state);
        bytes[4..6].copy_from_slice(&self.port.to_be_bytes());
        bytes[44..48].copy_from_slice(&cookie.to_ne_bytes());
        bytes[60..64].copy_from_slice(&self.in_flight.to_ne_bytes());
        let mut info = vec![0; FULL_INFO];
        // All that was sent is acknowledged, unless it is said what is.
        let acked = if self.acked > 0 { self.acked } else { self.sent + 1 };
        info[120..128].copy_from_slice(&acked.to_ne_bytes());
        info[128..136].copy_from_slice(&self.received.to_ne_bytes());
        info[152..156].copy_from_slice(&self.data_segs_in.to_ne_bytes());
        info[200..208].copy_from_slice(&self.sent.to_ne_bytes());
        // Something was sent twice: then `bytes_acked` decides.
        info[100..104].copy_from_slice(&u32::from(self.segments.is_none()).to_ne_bytes());
        let (data_segs_out, delivered) = self.segments.unwrap_or_default();
        info[156..160].copy_from_slice(&data_segs_out.to_ne_bytes());
        info[192..196].copy_from_slice(&delivered.to_ne_bytes());
        info[208..216].copy_from_slice(&self.retrans.to_ne_bytes());
        bytes.extend_from_slice(&(4 + FULL_INFO as u16).to_ne_bytes());
        bytes.extend_from_slice(&2u16.to_ne_bytes());
        bytes.extend(info);
        bytes
    }
}

struct Book {
    ledger: Ledger,
    registry: Registry,
    start: Instant,
}

impl Book {
    fn new() -> Self {
        let registry = Registry::new();
        let total = |name: &str| {
            let counter = IntCounter::new(name, "Bytes.").expect("a name");
            let rate = HistogramOpts::new(format!("{name}_rate"), "Rate.");
            let rate = Histogram::with_opts(rate).expect("a name");
            registry.register(Box::new(rate.clone())).expect("is new");
            Total::new(counter, rate)
        };
        let closings = Closings::new(&registry).expect("names");
        let large = IntCounter::new("large", "Large.").expect("a name");
        let start = Instant::now();
        let ledger = Ledger::new(total("sent"), total("received"), closings, large, start);
        Self { ledger, registry, start }
    }

    fn record(&mut self, cookie: u32, socket: Socket) {
        self.ledger.record(Message::new(&socket.message(cookie)).expect("long enough"), self.start);
    }

    fn totals(&self) -> (u64, u64) {
        (self.ledger.sent.bytes.get(), self.ledger.received.bytes.get())
    }

    /// Observations of a histogram with these values of its labels, and their sum.
    fn observed(&self, name: &str, labels: &[&str]) -> (u64, f64) {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("is registered");
        let is_it = |metric: &&prometheus::proto::Metric| {
            metric.get_label().iter().map(|pair| pair.value()).eq(labels.iter().copied())
        };
        let metric = family.get_metric().iter().find(is_it).expect("is there");
        (metric.get_histogram().get_sample_count(), metric.get_histogram().get_sample_sum())
    }
}

#[test]
fn totals_have_every_byte_once_and_no_syn_fin_or_retransmission() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    // As the kernel counts: SYN and FIN in what is acknowledged, FIN in what is received.
    let open = Socket {
        state: ESTABLISHED,
        sent: 1200,
        retrans: 200,
        acked: 1001,
        received: 500,
        data_segs_in: 1,
        port: 1,
        ..Socket::default()
    };
    book.record(1, open);
    assert_eq!(book.totals(), (1000, 499), "the last byte may be a FIN");
    book.record(1, open);
    assert_eq!(book.totals(), (1000, 499), "nothing new");
    book.record(1, Socket { state: CLOSE_WAIT, received: 601, ..open });
    assert_eq!(book.totals(), (1000, 600));
    book.record(1, Socket { state: CLOSE, sent: 1300, acked: 1102, received: 601, ..open });
    book.ledger.close(1, book.start);
    assert_eq!(book.totals(), (1100, 600));
    // One that only its end tells of, reset before a FIN came; and one that received nothing but a FIN.
    book.record(2, Socket { state: CLOSE, sent: 10, retrans: 0, acked: 11, received: 20, ..open });
    book.ledger.close(2, book.start);
    assert_eq!(book.totals(), (1110, 620));
    // Of one that the peer began, and that was not known to be: segments tell that its FIN was delivered, or was not.
    let passive =
        Socket { state: CLOSE, sent: 10, retrans: 0, acked: 11, received: 21, segments: Some((1, 3)), ..open };
    book.record(3, passive);
    assert_eq!(book.totals(), (1120, 640));
    book.record(4, Socket { received: 20, segments: Some((1, 2)), ..passive });
    assert_eq!(book.totals(), (1130, 660));
}

#[test]
fn counters_that_fall_take_nothing_from_the_totals() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    let open = Socket { state: ESTABLISHED, sent: 100, received: 100, data_segs_in: 1, ..Socket::default() };
    book.record(1, open);
    book.record(1, Socket { received: 0, ..open });
    assert_eq!(book.totals(), (100, 99));
    book.record(1, Socket { sent: 150, received: 100, ..open });
    assert_eq!(book.totals(), (150, 99));
    // It is aborted on this side: its destroy event has no counters.
    book.record(1, Socket { state: CLOSE, ..Socket::default() });
    book.ledger.close(1, book.start);
    assert_eq!(book.totals(), (150, 100));
    assert_eq!(book.observed("tcpinfo_connection_sent_bytes", &["ipv4", "unknown"]), (1, 150.0));
}

#[test]
fn of_what_was_there_before_only_what_it_adds_counts() {
    let mut book = Book::new();
    let open = Socket { state: ESTABLISHED, sent: 1000, received: 1000, data_segs_in: 9, ..Socket::default() };
    book.record(1, open);
    book.ledger.sees_all(true);
    book.record(1, Socket { sent: 1001, received: 1002, ..open });
    assert_eq!(book.totals(), (1, 1));
    book.ledger.close(1, book.start);
    assert_eq!(book.totals(), (1, 2));
    assert_eq!(
        book.observed("tcpinfo_connection_duration_seconds", &["ipv4", "unknown"]).0,
        0,
        "when it began is not known"
    );
    assert_eq!(book.observed("tcpinfo_connection_sent_bytes", &["ipv4", "unknown"]), (1, 1001.0));
}

#[test]
fn what_vanished_goes_on_when_it_is_heard_of_again() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    let open = Socket { state: ESTABLISHED, sent: 1000, ..Socket::default() };
    book.record(1, open);
    book.ledger.vanish(1, book.start);
    book.record(1, Socket { sent: 1500, ..open });
    assert_eq!(book.totals().0, 1500);
    for cookie in 2..=MOST_VANISHED as u32 + 1 {
        book.record(cookie, open);
        book.ledger.vanish(cookie.into(), book.start);
    }
    // The second was the oldest that was not heard of again; the first lives on.
    assert_eq!(book.ledger.accounts.len(), MOST_VANISHED + 1);
    assert_eq!(book.observed("tcpinfo_connection_sent_bytes", &["ipv4", "unknown"]), (0, 0.0));
    book.record(MOST_VANISHED as u32 + 2, open);
    book.ledger.vanish(MOST_VANISHED as u64 + 2, book.start);
    assert_eq!(book.observed("tcpinfo_connection_sent_bytes", &["ipv4", "unknown"]), (1, 1000.0));
    book.record(1, Socket { sent: 1600, ..open });
    assert_eq!(book.totals().0, 1600 + 1000 * (MOST_VANISHED as u64 + 1), "nothing of it twice");
}

#[test]
fn directions_are_by_what_is_listened_on() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    let open = Socket { state: ESTABLISHED, port: 443, ..Socket::default() };
    book.record(1, Socket { state: SYN_SENT, ..open });
    book.record(2, open);
    book.ledger.set_listening([443, 65535, 0].into_iter().collect());
    book.record(3, open);
    book.record(4, Socket { port: 50000, ..open });
    let end = book.start + Duration::from_secs(2);
    (1..=4).for_each(|cookie| book.ledger.close(cookie, end));
    let lasted = |direction| book.observed("tcpinfo_connection_duration_seconds", &["ipv4", direction]);
    assert_eq!([lasted("out"), lasted("in"), lasted("unknown")], [(2, 4.0), (1, 2.0), (1, 2.0)]);
}

#[test]
fn rates_are_observed_once_for_each_second() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    book.record(1, Socket { state: ESTABLISHED, sent: 3000, ..Socket::default() });
    book.ledger.tick(book.start + Duration::from_millis(900));
    assert_eq!(book.observed("sent_rate", &[]), (0, 0.0));
    book.ledger.tick(book.start + Duration::from_millis(3100));
    assert_eq!(book.observed("sent_rate", &[]), (3, 24_000.0));
    book.ledger.tick(book.start + Duration::from_millis(4000));
    assert_eq!(book.observed("sent_rate", &[]), (4, 24_000.0));
}

#[test]
fn a_socket_that_is_used_again_counts_again() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    let open = Socket { state: ESTABLISHED, sent: 100, received: 100, data_segs_in: 1, ..Socket::default() };
    book.record(1, open);
    book.record(1, Socket { sent: 30, received: 20, ..open });
    assert_eq!(book.totals(), (130, 119), "of the first all is known");
}

#[test]
fn what_came_before_the_peer_ended_its_side_is_all_that_comes() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    let open = Socket { state: CLOSE_WAIT, sent: 10, acked: 11, received: 101, data_segs_in: 1, ..Socket::default() };
    book.record(1, open);
    // It was reset then: its own FIN was not acknowledged.
    book.record(1, Socket { state: CLOSE, sent: 50, in_flight: 40, ..open });
    book.ledger.close(1, book.start);
    assert_eq!(book.totals(), (50, 100));
}

#[test]
fn what_this_host_itself_drops_is_not_sent() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    // Each byte was tried twice, and went out once.
    let closed = Socket { state: CLOSE, sent: 2000, acked: 1002, ..Socket::default() };
    book.record(1, closed);
    assert_eq!(book.totals().0, 1000);
}

#[test]
fn of_what_polls_do_not_tell_nothing_is_made_up() {
    let mut book = Book::new();
    // As with --attributes cong.
    let mut bare = Socket { state: ESTABLISHED, ..Socket::default() }.message(1);
    bare.truncate(InetDiagMsg::SIZE);
    book.ledger.record(Message::new(&bare).expect("long enough"), book.start);
    book.ledger.sees_all(true);
    book.record(
        1,
        Socket { state: CLOSE, sent: 5000, acked: 5002, received: 5001, data_segs_in: 1, ..Socket::default() },
    );
    assert_eq!(book.totals(), (0, 0), "it was there before, and who knows what it had carried");
}

#[test]
fn what_is_left_out_for_a_while_is_not_counted_for_it() {
    let mut book = Book::new();
    book.ledger.sees_all(true);
    let open = Socket { state: ESTABLISHED, sent: 100, ..Socket::default() };
    book.record(1, open);
    book.ledger.forget(1);
    book.ledger.sees_all(false);
    book.record(1, Socket { sent: 1_000_100, ..open });
    book.ledger.sees_all(true);
    book.record(1, Socket { sent: 1_000_101, ..open });
    assert_eq!(book.totals().0, 101);
}
