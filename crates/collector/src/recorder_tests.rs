//! Tests of the life of a connection.

use std::time::Duration;

use super::*;
use crate::filter::{Criteria, States};

/// A socket of 10.0.0.1:1000 and 10.0.0.2 with `tcp_info`, or a minisock, which has none.
fn socket(cookie: u32, state: TcpState, dport: u16, tcp_info: Option<u8>) -> Vec<u8> {
    let mut bytes = vec![0u8; 72];
    bytes[0] = 2;
    bytes[1] = state.number();
    bytes[4..6].copy_from_slice(&1000u16.to_be_bytes());
    bytes[6..8].copy_from_slice(&dport.to_be_bytes());
    bytes[8..12].copy_from_slice(&[10, 0, 0, 1]);
    bytes[24..28].copy_from_slice(&[10, 0, 0, 2]);
    bytes[44..48].copy_from_slice(&cookie.to_ne_bytes());
    let Some(fill) = tcp_info else {
        bytes[2] = TIMER_OF_MINISOCK;
        return bytes;
    };
    bytes.extend_from_slice(&[28, 1, 2, 0]);
    bytes.extend_from_slice(&[fill; 280]);
    bytes
}

#[derive(Default)]
struct Log(Vec<String>);

impl Sink for Log {
    fn open(&mut self, message: Message<'_>) {
        self.0.push(format!("open{}", message.cookie()));
    }

    fn record(&mut self, message: Message<'_>, origin: Origin) {
        let kind = if origin == (Origin::Destroy { is_final: true }) { "final" } else { "record" };
        self.0.push(format!("{kind}{}", message.cookie()));
    }

    fn close(&mut self, cookie: u64, _: Option<Message<'_>>) {
        self.0.push(format!("close{cookie}"));
    }

    fn absent(&mut self, last: Message<'_>) {
        self.0.push(format!("absent{}", last.cookie()));
    }

    fn vanish(&mut self, cookie: u64) {
        self.0.push(format!("vanish{cookie}"));
    }

    fn leave_out(&mut self, cookie: u64) {
        self.vanish(cookie);
    }
}

struct Host {
    recorder: Recorder,
    log: Log,
    now: Instant,
}

impl Host {
    fn new() -> Self {
        Self {
            recorder: Recorder::new(Filter::new(false, States::ALL, Criteria::default(), Criteria::default()), false),
            log: Log::default(),
            now: Instant::now(),
        }
    }

    fn poll(&mut self, sockets: &[Vec<u8>]) -> Vec<Outcome> {
        self.recorder.begin_poll(AddressFamily::Inet);
        let observe = |bytes: &Vec<u8>| {
            let message = Message::new(bytes).expect("long enough");
            self.recorder.observe(message, LeftOut::NOTHING, &mut self.log)
        };
        let outcomes = sockets.iter().map(observe).collect();
        self.now += Duration::from_millis(100);
        self.recorder.end_poll(AddressFamily::Inet, self.now, Patience::NONE, &mut self.log);
        outcomes
    }

    fn destroy(&mut self, bytes: &[u8]) -> Outcome {
        self.recorder.destroyed(Message::new(bytes).expect("long enough"), &mut self.log)
    }

    fn log(&mut self) -> String {
        std::mem::take(&mut self.log.0).join(" ")
    }
}

#[test]
fn a_connection_lives_from_first_sight_to_its_destroy_event() {
    let mut host = Host::new();
    host.poll(&[socket(1, TcpState::SynSent, 80, Some(0))]);
    host.poll(&[socket(1, TcpState::Established, 80, Some(1))]);
    assert_eq!(host.poll(&[socket(1, TcpState::Established, 80, Some(1))]), [Outcome::Unchanged]);
    assert_eq!(host.destroy(&socket(1, TcpState::Close, 80, Some(2))), Outcome::Final);
    assert_eq!(host.log(), "open1 record1 record1 final1 close1");
    assert_eq!(host.recorder.connections(), 0);
}

#[test]
fn a_connection_between_two_polls_leaves_its_final_record() {
    let mut host = Host::new();
    assert_eq!(host.destroy(&socket(7, TcpState::Close, 80, Some(2))), Outcome::Final);
    assert_eq!(host.log(), "open7 final7 close7");
}

#[test]
fn a_minisock_neither_revives_nor_records_a_connection() {
    let mut host = Host::new();
    host.poll(&[socket(1, TcpState::FinWait2, 80, Some(1))]);
    host.destroy(&socket(1, TcpState::Close, 80, Some(2)));
    for state in [TcpState::FinWait2, TcpState::TimeWait] {
        assert_eq!(host.poll(&[socket(1, state, 80, None)]), [Outcome::Skipped(Skip::Minisock)]);
    }
    assert_eq!(host.log(), "open1 record1 final1 close1");
}

#[test]
fn a_minisock_does_not_keep_its_connection_open_when_the_event_was_lost() {
    let mut host = Host::new();
    host.poll(&[socket(1, TcpState::FinWait2, 80, Some(1))]);
    for _ in 0..3 {
        host.poll(&[socket(1, TcpState::FinWait2, 80, None)]);
    }
    assert_eq!(host.log(), "open1 record1 vanish1");
}

#[test]
fn the_event_of_a_connection_that_vanished_is_still_its_own() {
    for (dport, expected) in [(80, "open1 record1 vanish1 final1 close1"), (0, "open1 record1 vanish1 close1")] {
        let mut host = Host::new();
        host.poll(&[socket(1, TcpState::Established, 80, Some(1))]);
        (0..3).for_each(|_| drop(host.poll(&[])));
        host.destroy(&socket(1, TcpState::Close, dport, Some(2)));
        assert_eq!(host.log(), expected);
    }
}

#[test]
fn a_connection_that_vanished_may_be_seen_again() {
    let mut host = Host::new();
    let established = socket(1, TcpState::Established, 80, Some(1));
    host.poll(std::slice::from_ref(&established));
    (0..3).for_each(|_| drop(host.poll(&[])));
    assert_eq!(host.poll(&[established]), [Outcome::Changed(Change::FirstSight)]);
    host.destroy(&socket(1, TcpState::Close, 80, Some(2)));
    assert_eq!(host.log(), "open1 record1 vanish1 open1 record1 final1 close1");
}

#[test]
fn an_abort_ends_a_known_connection_without_a_record() {
    let mut host = Host::new();
    host.poll(&[socket(1, TcpState::Established, 80, Some(1))]);
    assert_eq!(host.destroy(&socket(1, TcpState::Close, 0, Some(0))), Outcome::EndWithoutRecord);
    assert_eq!(host.log(), "open1 record1 close1");
}

#[test]
fn an_abort_or_refusal_between_two_polls_still_leaves_a_trace() {
    let mut host = Host::new();
    assert_eq!(host.destroy(&socket(1, TcpState::Close, 0, Some(0))), Outcome::Final);
    assert_eq!(host.log(), "open1 record1 close1");
}

#[test]
fn listeners_and_sockets_that_never_connected_are_no_connections() {
    let mut host = Host::new();
    let mut unconnected = socket(1, TcpState::Close, 0, Some(0));
    unconnected[24..28].fill(0);
    assert_eq!(host.destroy(&unconnected), Outcome::Skipped(Skip::NoConnection));
    assert_eq!(host.poll(&[socket(2, TcpState::Listen, 0, Some(0))]), [Outcome::Skipped(Skip::NoConnection)]);
    assert_eq!(host.poll(&[socket(0, TcpState::Established, 80, Some(0))]), [Outcome::Skipped(Skip::NoCookie)]);
    assert_eq!(host.log(), "");
}

#[test]
fn a_destroy_event_of_an_excluded_socket_is_skipped() {
    let mut host = Host::new();
    let mut local = socket(1, TcpState::Close, 80, Some(2));
    local[8..12].copy_from_slice(&[127, 0, 0, 1]);
    assert_eq!(host.destroy(&local), Outcome::Skipped(Skip::Filtered));
    host.recorder.set_filter(Filter::default(), false, &mut host.log);
    assert_eq!(host.destroy(&local), Outcome::Final);
}

#[test]
fn a_socket_that_changes_its_family_stays_the_connection_of_its_cookie() {
    let mut host = Host::new();
    let mut mapped = socket(1, TcpState::Established, 80, Some(1));
    mapped[0] = 10;
    host.recorder.begin_poll(AddressFamily::Inet6);
    let message = Message::new(&mapped).expect("long enough");
    host.recorder.observe(message, LeftOut::NOTHING, &mut host.log);
    host.poll(&[socket(1, TcpState::Established, 80, Some(1))]);
    assert_eq!(host.recorder.connections(), 1);
    assert_eq!(host.destroy(&mapped), Outcome::Final);
    assert_eq!(host.log(), "open1 record1 record1 final1 close1");
}

#[test]
fn a_socket_seen_while_it_is_torn_down_is_not_recorded() {
    let mut host = Host::new();
    let mut torn = socket(1, TcpState::LastAck, 80, Some(1));
    torn[4..6].fill(0);
    assert_eq!(host.poll(&[torn]), [Outcome::Skipped(Skip::NoConnection)]);
}

#[test]
fn a_socket_connected_anew_stays_the_connection_of_its_cookie() {
    let mut host = Host::new();
    host.poll(&[socket(1, TcpState::Established, 80, Some(1))]);
    assert_eq!(host.poll(&[socket(1, TcpState::SynSent, 81, Some(1))]), [Outcome::Changed(Change::SockId)]);
    assert_eq!(host.log(), "open1 record1 record1");
}
