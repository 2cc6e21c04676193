//! Accounts that are made up, on sockets that are.

use std::net::{IpAddr, SocketAddr};

use inetdiag::{InetDiagMsg, StreamStatistics};
use prometheus::Registry;
use zerocopy::{FromZeros, IntoBytes};

use super::*;

pub(super) const LOCAL: &str = "10.0.0.1:443";
/// In milliseconds: it does not matter when something was active.
const DAY: u32 = 86_400_000;
pub(super) const PEER: &str = "192.0.2.7:51202";

/// A socket message, between these two ends.
fn socket(cookie: u64, local: &str, peer: &str) -> Vec<u8> {
    let (local, peer): (SocketAddr, SocketAddr) = (local.parse().expect("local"), peer.parse().expect("peer"));
    let mut header = InetDiagMsg::new_zeroed();
    header.idiag_family = if local.is_ipv4() { 2 } else { 10 };
    let ends = [(&mut header.id.idiag_src, local), (&mut header.id.idiag_dst, peer)];
    for (bytes, address) in ends {
        match address.ip() {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes.copy_from_slice(&ip.octets()),
        }
    }
    header.id.idiag_sport.set(local.port());
    header.id.idiag_dport.set(peer.port());
    header.id.idiag_cookie[0].set(cookie as u32);
    header.id.idiag_cookie[1].set((cookie >> 32) as u32);
    header.as_bytes().to_vec()
}

/// The socket between [`LOCAL`] and [`PEER`] of which the kernel has counted so many segments sent and received. It was active
/// so many milliseconds before its end.
pub(super) fn counted(cookie: u64, segs_out: u32, segs_in: u32, ages: u32) -> Vec<u8> {
    let mut bytes = socket(cookie, LOCAL, PEER);
    let mut info = [0; 144];
    info[44..60].copy_from_slice(&ages.to_ne_bytes().repeat(4));
    info[136..140].copy_from_slice(&segs_out.to_ne_bytes());
    info[140..144].copy_from_slice(&segs_in.to_ne_bytes());
    bytes.extend((4 + info.len() as u16).to_ne_bytes());
    bytes.extend(inetdiag::attribute::INET_DIAG_INFO.to_ne_bytes());
    bytes.extend(info);
    bytes
}

fn stream(packets: u64, fins: u64) -> StreamStatistics {
    // A packet each microsecond.
    let last_packet = time(0).timestamp_micros() as u64 + packets;
    StreamStatistics { packets, fins, last_packet, syns: 1, ..StreamStatistics::default() }
}

/// `local` sent so many packets, its peer one more. An end is told by FINs.
pub(super) fn account(local: &str, peer: &str, packets: u64, ended: bool) -> Account {
    let fins = u64::from(ended);
    Account {
        began: 1,
        a: local.parse().expect("local"),
        b: peer.parse().expect("peer"),
        a_to_b: stream(packets, fins),
        b_to_a: stream(packets + 1, fins),
        ended,
    }
}

/// The same of a connection that began later, with the same ends.
fn next(account: Account) -> Account {
    Account { began: account.began + 1, ..account }
}

/// So many milliseconds after the tests begin.
pub(super) fn time(milliseconds: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + milliseconds as i64).expect("a time")
}

pub(super) struct Capture {
    pub(super) joiner: Joiner,
    pub(super) sender: crossbeam_channel::Sender<Account>,
    now: Instant,
    pub(super) milliseconds: u64,
}

impl Capture {
    pub(super) fn new() -> Self {
        let (sender, incoming) = crossbeam_channel::unbounded();
        let counters = Counters::new(&Registry::new()).expect("the names are valid");
        let now = Instant::now();
        Self { joiner: Joiner::new(incoming, counters, now), sender, now, milliseconds: 0 }
    }

    /// Tells of this, after so many milliseconds.
    pub(super) fn tell(&mut self, after: u64, accounts: &[Account]) {
        self.now += Duration::from_millis(after);
        accounts.iter().for_each(|account| self.sender.send(*account).expect("is taken"));
        self.milliseconds += after;
        self.joiner.fetch_at(self.now, time(self.milliseconds));
    }

    /// Packets sent and received that the record of a poll gets.
    fn polled(&mut self, socket: &[u8]) -> Option<(u64, u64)> {
        packets(self.joiner.news(Message::new(socket).expect("a socket")))
    }

    /// The same for a final record that need not wait.
    fn destroyed(&mut self, socket: &[u8]) -> Option<(u64, u64)> {
        let message = Message::new(socket).expect("a socket");
        let streams = self.joiner.last_at(message, time(self.milliseconds));
        self.joiner.close(message.cookie());
        packets(streams)
    }

    /// Lets final records ripen.
    fn ripen(&mut self) {
        self.tell(0, &[]);
        self.tell(60, &[]);
    }

    /// Cookies of the final records let go since the last call, and what they got.
    pub(super) fn released(&mut self) -> Vec<(u64, Option<(u64, u64)>)> {
        std::iter::from_fn(|| self.joiner.released())
            .map(|released| {
                assert!(released.is_closed, "its close came right behind it");
                (Message::new(&released.message).expect("a socket").cookie(), packets(released.streams))
            })
            .collect()
    }

    /// Attached, unmatched, dropped, without end.
    fn counted(&self) -> [u64; 4] {
        let Counters { attached, unmatched, dropped, without_end } = &self.joiner.counters;
        [attached, unmatched, dropped, without_end].map(prometheus::IntCounter::get)
    }
}

fn packets(streams: Option<Streams>) -> Option<(u64, u64)> {
    streams.map(|streams| (streams.sent.packets, streams.received.packets))
}

#[test]
fn a_socket_finds_its_packets_whichever_end_the_capture_names_first() {
    let mut capture = Capture::new();
    let here = socket(1, LOCAL, PEER);
    assert_eq!(capture.polled(&here), None);
    capture.tell(0, &[account(LOCAL, PEER, 5, false)]);
    assert_eq!(capture.polled(&here), Some((5, 6)));
    assert_eq!(capture.polled(&here), None, "a record has it");
    capture.tell(1000, &[account(PEER, LOCAL, 7, false)]);
    assert_eq!(capture.polled(&here), Some((8, 7)));
    let mapped = socket(2, "[::ffff:10.0.0.1]:80", "[::ffff:192.0.2.7]:51202");
    capture.tell(0, &[account("10.0.0.1:80", PEER, 3, false)]);
    assert_eq!(capture.polled(&mapped), Some((3, 4)));
    let six = socket(3, "[2001:db8::1]:80", "[2001:db8::2]:1");
    capture.tell(0, &[account("[2001:db8::2]:1", "[2001:db8::1]:80", 3, false)]);
    assert_eq!(capture.polled(&six), Some((4, 3)));
    assert_eq!(capture.counted(), [4, 0, 0, 0]);
}

/// On the loopback interface each packet is of two sockets.
#[test]
fn both_ends_may_be_here() {
    let mut capture = Capture::new();
    let (here, there) = (socket(1, LOCAL, PEER), socket(2, PEER, LOCAL));
    capture.tell(0, &[account(LOCAL, PEER, 5, false)]);
    assert_eq!((capture.polled(&here), capture.polled(&there)), (Some((5, 6)), Some((6, 5))));
    assert_eq!((capture.polled(&here), capture.polled(&there)), (None, None));
    assert_eq!((capture.destroyed(&here), capture.destroyed(&there)), (None, None));
    capture.tell(10, &[account(LOCAL, PEER, 9, true)]);
    assert_eq!(capture.released(), [(1, Some((9, 10))), (2, Some((10, 9)))]);
}

#[test]
fn a_final_record_that_need_not_wait_does_not() {
    let mut capture = Capture::new();
    capture.tell(0, &[account(LOCAL, PEER, 4, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((4, 5)));
    capture.tell(0, &[account(LOCAL, PEER, 5, true)]);
    assert_eq!(capture.destroyed(&socket(1, LOCAL, PEER)), Some((5, 6)));
    assert_eq!((capture.released(), capture.counted()), (vec![], [2, 0, 0, 0]));
}

/// That of a connection that no poll has seen waits until accounts of all that have ended are there.
#[test]
fn one_that_may_be_taken_for_another_waits_a_moment() {
    let mut capture = Capture::new();
    capture.tell(0, &[account(LOCAL, PEER, 5, true)]);
    assert_eq!(capture.destroyed(&socket(1, LOCAL, PEER)), None);
    capture.tell(0, &[]);
    assert_eq!(capture.joiner.fetch_again_at(), capture.now + Duration::from_millis(60));
    capture.tell(59, &[]);
    assert_eq!(capture.released(), []);
    capture.tell(1, &[]);
    assert_eq!((capture.released(), capture.counted()), (vec![(1, Some((5, 6)))], [1, 0, 0, 0]));
}

#[test]
fn what_waits_in_vain_goes_on_in_order_and_is_counted() {
    let mut capture = Capture::new();
    let other = "192.0.2.8:1";
    capture.tell(0, &[account(LOCAL, PEER, 5, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((5, 6)));
    capture.destroyed(&socket(1, LOCAL, PEER));
    capture.tell(100, &[]);
    capture.destroyed(&socket(2, LOCAL, other));
    capture.tell(100, &[]);
    capture.tell(60, &[]);
    assert_eq!(capture.joiner.fetch_again_at(), capture.now + Duration::from_secs(1));
    capture.tell(1039, &[]);
    assert_eq!(capture.released(), []);
    assert_eq!(capture.joiner.fetch_again_at(), capture.now + Duration::from_millis(10));
    capture.tell(1, &[]);
    assert_eq!(capture.released(), [(1, Some((5, 6)))], "once more, at the end");
    capture.tell(100, &[]);
    assert_eq!((capture.released(), capture.joiner.held.len()), (vec![(2, None)], 0));
    assert_eq!(capture.counted(), [2, 0, 0, 2]);
}

/// A RST frees addresses and ports at once.
#[test]
fn what_is_late_of_a_connection_is_not_of_the_next_one() {
    let mut capture = Capture::new();
    let (old, new) = (socket(1, LOCAL, PEER), socket(2, LOCAL, PEER));
    capture.tell(0, &[account(LOCAL, PEER, 50, false)]);
    assert_eq!(capture.polled(&old), Some((50, 51)));
    capture.tell(0, &[account(LOCAL, PEER, 60, true)]);
    assert_eq!(capture.destroyed(&old), Some((60, 61)));
    // Its peer sent a little more; and the next connection is so short that no poll sees it.
    capture.tell(1, &[account(LOCAL, PEER, 62, true)]);
    assert_eq!(capture.destroyed(&new), None);
    capture.tell(1, &[account(LOCAL, PEER, 63, true)]);
    capture.ripen();
    assert_eq!(capture.released(), [], "that is not what it waits for");
    capture.tell(1, &[next(account(LOCAL, PEER, 8, true))]);
    assert_eq!((capture.released(), capture.counted()), (vec![(2, Some((8, 9)))], [3, 0, 0, 0]));
}

/// As a benchmark makes them: all alike, but for when they began.
#[test]
fn a_connection_just_like_the_one_before_is_another_one() {
    let mut capture = Capture::new();
    for cookie in 1..=3 {
        capture.tell(10, &[Account { began: cookie, ..account(LOCAL, PEER, 5, true) }]);
        capture.destroyed(&socket(cookie, LOCAL, PEER));
        capture.ripen();
        assert_eq!(capture.released(), [(cookie, Some((5, 6)))]);
    }
}

#[test]
fn a_final_record_gets_what_was_of_its_own_when_the_next_connection_is_told_of() {
    let mut capture = Capture::new();
    let (old, new) = (socket(1, LOCAL, PEER), socket(2, LOCAL, PEER));
    capture.tell(0, &[account(LOCAL, PEER, 50, false)]);
    assert_eq!(capture.polled(&old), Some((50, 51)));
    assert_eq!(capture.destroyed(&old), None);
    assert_eq!(capture.polled(&new), None);
    // It may be larger than the one before.
    capture.tell(100, &[next(account(LOCAL, PEER, 70, false))]);
    assert_eq!(capture.released(), [(1, Some((50, 51)))]);
    assert_eq!(capture.polled(&new), Some((70, 71)));
    assert_eq!(capture.counted(), [3, 0, 0, 0]);
}

#[test]
fn final_records_of_the_same_addresses_and_ports_get_theirs_in_order() {
    let mut capture = Capture::new();
    (1..=3).for_each(|cookie| assert_eq!(capture.destroyed(&socket(cookie, LOCAL, PEER)), None));
    let first = account(LOCAL, PEER, 4, true);
    capture.ripen();
    capture.tell(40, &[first]);
    assert_eq!(capture.released(), [(1, Some((4, 5)))]);
    capture.tell(100, &[next(account(LOCAL, PEER, 7, true)), next(next(account(LOCAL, PEER, 9, true)))]);
    assert_eq!(capture.released(), [(2, Some((7, 8))), (3, Some((9, 10)))]);
}

/// What the capture has sent is looked at before it is decided who waits.
#[test]
fn an_account_that_is_on_the_way_is_not_the_next_sockets() {
    let mut capture = Capture::new();
    capture.destroyed(&socket(1, LOCAL, PEER));
    capture.ripen();
    capture.sender.send(account(LOCAL, PEER, 4, true)).expect("is taken");
    assert_eq!(capture.destroyed(&socket(2, LOCAL, PEER)), None);
    assert_eq!(capture.released(), [(1, Some((4, 5)))]);
    capture.sender.send(next(account(LOCAL, PEER, 9, true))).expect("is taken");
    capture.ripen();
    assert_eq!(capture.released(), [(2, Some((9, 10)))]);
}

#[test]
fn accounts_may_come_before_the_events_of_their_sockets() {
    let mut capture = Capture::new();
    let [one, two] = [account(LOCAL, PEER, 4, true), next(account(LOCAL, PEER, 9, true))];
    capture.tell(100, &[one, two]);
    capture.destroyed(&socket(1, LOCAL, PEER));
    capture.tell(30, &[]);
    capture.destroyed(&socket(2, LOCAL, PEER));
    capture.ripen();
    assert_eq!(capture.released(), [(1, Some((4, 5))), (2, Some((9, 10)))]);
}

/// A connection was aborted here, which leaves no final record, and the next is just like it.
#[test]
fn what_was_over_before_a_socket_was_active_is_not_its_own() {
    let mut capture = Capture::new();
    let ended = |began, at| {
        let last_packet = time(at).timestamp_micros() as u64;
        let stream = StreamStatistics { last_packet, ..stream(9, 1) };
        Account { began, a_to_b: stream, b_to_a: stream, ..account(LOCAL, PEER, 0, true) }
    };
    capture.tell(100, &[ended(1, 90)]);
    capture.destroyed(&counted(2, 9, 9, 0));
    capture.ripen();
    assert_eq!(capture.released(), [(2, Some((9, 9)))], "10 ms may pass until an event is here");
    capture.tell(0, &[ended(3, 100)]);
    capture.destroyed(&counted(4, 9, 9, 0));
    capture.ripen();
    assert_eq!(capture.released(), [], "60 ms do not, as a rule");
    capture.tell(0, &[ended(5, 160)]);
    assert_eq!(capture.released(), [(4, Some((9, 9)))]);
    // Of two that could be it, it is the later one: nothing has told of the socket of the other.
    capture.tell(0, &[ended(6, 200), ended(7, 210)]);
    capture.destroyed(&counted(8, 9, 9, 0));
    capture.ripen();
    assert_eq!(capture.released().len(), 1);
    capture.destroyed(&counted(9, 9, 9, 100));
    capture.ripen();
    assert_eq!(capture.released(), [], "that one is of the past");
}

/// A port that nobody listens on, say, from which somebody is connected to then.
#[test]
fn what_has_other_numbers_of_segments_is_of_another_connection() {
    let mut capture = Capture::new();
    capture.tell(0, &[account(LOCAL, PEER, 100, true)]);
    let socket = counted(1, 6, 7, DAY);
    assert_eq!(capture.destroyed(&socket), None);
    capture.ripen();
    capture.tell(40, &[next(account(LOCAL, PEER, 6, true))]);
    assert_eq!((capture.released(), capture.counted()), (vec![(1, Some((6, 7)))], [1, 0, 0, 0]));
    // If no other comes, the closest is taken, but not one that cannot be it.
    assert_eq!(capture.destroyed(&counted(2, 6, 7, DAY)), None);
    capture.tell(100, &[next(next(account(LOCAL, PEER, 12, true)))]);
    assert_eq!(capture.destroyed(&counted(3, 30, 30, DAY)), None);
    capture.tell(0, &[]);
    capture.tell(1200, &[]);
    assert_eq!(capture.released(), [(2, Some((12, 13))), (3, None)]);
    // Nor does a socket that goes on claim it.
    capture.tell(0, &[Account { began: 9, ..account(LOCAL, PEER, 100, false) }]);
    assert_eq!(capture.polled(&counted(4, 3, 3, DAY)), None);
    assert_eq!(capture.polled(&counted(4, 90, 90, DAY)), Some((100, 101)));
}

#[test]
fn a_reset_that_nobody_has_taken_shuts_nobody_out() {
    let mut capture = Capture::new();
    let here = socket(1, LOCAL, PEER);
    capture.tell(0, &[account(LOCAL, PEER, 5, true)]);
    capture.tell(1001, &[]);
    assert_eq!(capture.polled(&here), None);
    capture.tell(100, &[account(LOCAL, PEER, 6, false)]);
    assert_eq!(capture.polled(&here), Some((6, 7)));
}

#[test]
fn a_flood_of_others_leaves_room() {
    let mut capture = Capture::new();
    capture.joiner.accounts = Accounts::new(100);
    capture.tell(0, &[account(LOCAL, PEER, 5, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((5, 6)));
    let flood: Vec<_> = (1..=1000).map(|port| account(&format!("198.51.100.1:{port}"), PEER, 1, true)).collect();
    capture.tell(0, &flood);
    capture.tell(0, &[account(LOCAL, PEER, 8, false), account(LOCAL, "192.0.2.8:1", 3, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((8, 9)), "who is claimed stays");
    assert_eq!(capture.polled(&socket(2, LOCAL, "192.0.2.8:1")), Some((3, 4)));
    assert_eq!((capture.joiner.accounts.len(), capture.counted()), (100, [3, 902, 0, 0]));
}

#[test]
fn a_socket_that_lives_does_not_get_what_has_ended() {
    let mut capture = Capture::new();
    let new = socket(2, LOCAL, PEER);
    capture.tell(0, &[account(LOCAL, PEER, 50, true)]);
    capture.tell(1001, &[]);
    assert_eq!((capture.polled(&new), capture.destroyed(&new)), (None, None));
    capture.ripen();
    capture.tell(40, &[next(account(LOCAL, PEER, 4, true))]);
    assert_eq!(capture.released(), [(2, Some((4, 5)))]);
}

/// The destroy event of a connection that was aborted here has lost its remote port: there is a close and no record.
#[test]
fn an_aborted_connection_leaves_nothing_to_the_next() {
    let mut capture = Capture::new();
    let new = socket(2, LOCAL, PEER);
    capture.tell(0, &[account(LOCAL, PEER, 50, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((50, 51)));
    assert!(!capture.joiner.close(1), "nothing waits that it would have to follow");
    capture.tell(1, &[account(LOCAL, PEER, 51, true)]);
    assert_eq!((capture.polled(&new), capture.destroyed(&new)), (None, None));
}

#[test]
fn a_socket_that_is_connected_elsewhere_lets_go_of_its_first_account() {
    let mut capture = Capture::new();
    let other = "192.0.2.8:1";
    capture.tell(0, &[account(LOCAL, PEER, 5, false), account(LOCAL, other, 7, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((5, 6)));
    assert_eq!(capture.polled(&socket(1, LOCAL, other)), Some((7, 8)));
    capture.tell(6000, &[]);
    (0..20).for_each(|_| capture.tell(1000, &[]));
    assert_eq!(capture.joiner.accounts.len(), 1);
}

#[test]
fn what_nobody_asks_for_is_forgotten_a_part_at_a_time() {
    let mut capture = Capture::new();
    let forwarded = |port: u16| account(&format!("198.51.100.1:{port}"), PEER, 1, false);
    let accounts: Vec<_> = (1..=20_000).map(forwarded).collect();
    capture.tell(0, &accounts);
    capture.tell(0, &[account(LOCAL, PEER, 5, false)]);
    assert_eq!(capture.polled(&socket(1, LOCAL, PEER)), Some((5, 6)));
    capture.tell(119_000, &[]);
    capture.tell(2000, &[]);
    let forgotten = capture.counted()[1];
    assert!(forgotten > 0 && forgotten <= 4096, "{forgotten}");
    (0..1000).for_each(|_| capture.tell(10, &[]));
    assert_eq!((capture.counted(), capture.joiner.accounts.len()), ([1, 20_000, 0, 0], 1), "what is asked for stays");
    capture.joiner.vanish(1);
    (0..13).for_each(|_| capture.tell(10_000, &[]));
    assert_eq!((capture.counted()[1], capture.joiner.accounts.len()), (20_000, 0));
}

#[test]
fn what_is_past_goes_soon() {
    let mut capture = Capture::new();
    for port in 1..=100 {
        let peer = format!("192.0.2.7:{port}");
        capture.tell(10, &[account(LOCAL, &peer, 5, true)]);
        capture.destroyed(&socket(port, LOCAL, &peer));
    }
    capture.ripen();
    assert_eq!((capture.released().len(), capture.joiner.accounts.len()), (100, 100));
    (0..20).for_each(|_| capture.tell(1000, &[]));
    assert_eq!((capture.joiner.accounts.len(), capture.counted()), (0, [100, 0, 0, 0]));
}

#[test]
fn accounts_and_final_records_are_bounded() {
    let mut capture = Capture::new();
    capture.joiner.accounts = Accounts::new(2);
    let accounts: Vec<_> = (1..=3).map(|port| account(&format!("198.51.100.1:{port}"), PEER, 1, false)).collect();
    capture.tell(0, &accounts);
    assert_eq!((capture.counted(), capture.joiner.accounts.len()), ([0, 1, 0, 0], 2));
    for port in [1, 3] {
        assert!(capture.polled(&socket(port, &format!("198.51.100.1:{port}"), PEER)).is_some());
    }
    capture.tell(0, &accounts[1..2]);
    assert_eq!((capture.counted(), capture.joiner.accounts.len()), ([2, 1, 1, 0], 2), "of sockets none has to go");
    for cookie in 1..=60_000u64 {
        capture.destroyed(&socket(cookie, &format!("10.0.0.1:{cookie}"), PEER));
    }
    let released = capture.released();
    assert!(released.into_iter().eq((1..=10_000).map(|cookie| (cookie, None))), "the oldest go on");
    assert_eq!((capture.joiner.held.len(), capture.counted()[3]), (50_000, 10_000));
    capture.joiner.finish(capture.now);
    assert_eq!((capture.released().len(), capture.joiner.held.len()), (50_000, 0));
}
