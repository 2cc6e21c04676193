//! Tests of the change rule and of the cycle.

use std::time::{Duration, Instant};

use inetdiag::{Message, TcpInfo};
use proptest::prelude::*;

use crate::{Cache, Change, Gone, LeftOut, Patience, change_between};

const INFO: u16 = 2;
const CONG: u16 = 4;
const TOS: u16 = 5;
/// Where the `tcp_info` of [`socket`] starts: it is the first attribute.
const INFO_AT: usize = 72 + 4;

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(4 + payload.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn header(cookie: u32) -> Vec<u8> {
    let mut bytes = vec![0u8; 72];
    bytes[0] = 2;
    bytes[1] = 1;
    bytes[44..48].copy_from_slice(&cookie.to_ne_bytes());
    bytes
}

fn socket(cookie: u32) -> Vec<u8> {
    [header(cookie), attribute(INFO, &[0; TcpInfo::SIZE]), attribute(CONG, b"bbr\0"), attribute(TOS, &[0])].concat()
}

fn view(bytes: &[u8]) -> Message<'_> {
    Message::new(bytes).expect("long enough")
}

fn change_at(at: usize) -> Option<Change> {
    let old = socket(1);
    let mut new = old.clone();
    new[at] ^= 1;
    let mut cache = Cache::new();
    cache.begin_poll();
    assert_eq!(cache.update(view(&old), LeftOut::NOTHING), Some(Change::FirstSight));
    cache.update(view(&new), LeftOut::NOTHING)
}

#[test]
fn every_byte_counts_but_elapsed_time() {
    let expires = 52..56;
    let elapsed = [44..60, 168..192, 244..248].map(|range| INFO_AT + range.start..INFO_AT + range.end);
    for at in 0..socket(1).len() {
        if (44..52).contains(&at) {
            continue; // the cookie: another socket
        }
        let attribute_header = [72..76, 356..360, 364..368].iter().any(|header| header.contains(&at));
        let padding = (369..372).contains(&at);
        if attribute_header || padding {
            continue;
        }
        let ignored = expires.contains(&at) || elapsed.iter().any(|range| range.contains(&at));
        assert_eq!(change_at(at).is_none(), ignored, "byte {at}");
    }
}

#[test]
fn the_reason_is_named() {
    assert_eq!(change_at(1), Some(Change::State));
    assert_eq!(change_at(2), Some(Change::Header));
    assert_eq!(change_at(4), Some(Change::SockId));
    assert_eq!(change_at(56), Some(Change::Header));
    assert_eq!(change_at(INFO_AT + 68), Some(Change::TcpInfo));
    assert_eq!(change_at(360), Some(Change::Attribute));

    let old = socket(1);
    let more = [old.clone(), attribute(15, &[0; 4])].concat();
    let longer = [header(1), attribute(INFO, &[0; 284]), attribute(CONG, b"bbr\0"), attribute(TOS, &[0])].concat();
    let cong =
        [header(1), attribute(INFO, &[0; TcpInfo::SIZE]), attribute(CONG, b"cubic\0"), attribute(TOS, &[0])].concat();
    assert_eq!(change_between(view(&old), view(&more)), Some(Change::AttributeAdded));
    assert_eq!(change_between(view(&more), view(&old)), Some(Change::AttributeRemoved));
    assert_eq!(change_between(view(&old), view(&longer)), Some(Change::TcpInfo));
    assert_eq!(change_between(view(&old), view(&cong)), Some(Change::AttributeLength));
}

#[test]
fn the_order_of_attributes_is_no_change() {
    let a = [header(1), attribute(TOS, &[7]), attribute(CONG, b"bbr\0")].concat();
    let b = [header(1), attribute(CONG, b"bbr\0"), attribute(TOS, &[7])].concat();
    let mut cache = Cache::new();
    cache.begin_poll();
    cache.update(view(&a), LeftOut::NOTHING);
    assert_eq!(cache.update(view(&b), LeftOut::NOTHING), None);
}

#[test]
fn a_socket_without_tcp_info_is_compared_by_the_rest() {
    let a = [header(1), attribute(15, &[0; 4])].concat();
    let mut b = a.clone();
    let mut cache = Cache::new();
    cache.begin_poll();
    cache.update(view(&a), LeftOut::NOTHING);
    b[53] = 9; // expires
    assert_eq!(cache.update(view(&b), LeftOut::NOTHING), None);
    b[77] = 1; // mark
    assert_eq!(cache.update(view(&b), LeftOut::NOTHING), Some(Change::Attribute));
}

#[test]
fn a_short_tcp_info_of_an_old_kernel_is_compared_in_full() {
    let make = |at: usize| {
        let mut info = [0u8; 104];
        info[at] = 1;
        [header(1), attribute(INFO, &info), attribute(TOS, &[0])].concat()
    };
    assert_eq!(change_between(view(&make(50)), view(&make(51))), None);
    assert_eq!(change_between(view(&make(100)), view(&make(101))), Some(Change::TcpInfo));
    let mut cache = Cache::new();
    cache.begin_poll();
    cache.update(view(&make(50)), LeftOut::NOTHING);
    assert_eq!(cache.update(view(&make(44)), LeftOut::NOTHING), None);
    assert_eq!(cache.update(view(&make(100)), LeftOut::NOTHING), Some(Change::TcpInfo));
}

#[test]
fn a_message_that_lost_its_tcp_info_is_compared_at_its_new_length() {
    let mut cache = Cache::new();
    cache.begin_poll();
    cache.update(view(&socket(1)), LeftOut::NOTHING);
    let short = [header(1), attribute(15, &[0; 4])].concat();
    assert!(cache.update(view(&short), LeftOut::NOTHING).is_some());
    assert_eq!(cache.update(view(&short), LeftOut::NOTHING), None);
}

/// A socket as a poll sees it that asks for `tcp_info` alone.
fn part(cookie: u32, fill: u8) -> Vec<u8> {
    [header(cookie), attribute(INFO, &[fill; TcpInfo::SIZE])].concat()
}

/// The same as a poll sees it that asks for everything.
fn whole(cookie: u32, fill: u8, tos: u8) -> Vec<u8> {
    [part(cookie, fill), attribute(CONG, b"bbr\0"), attribute(TOS, &[tos])].concat()
}

#[test]
fn an_attribute_that_was_not_asked_for_is_neither_gone_nor_new() {
    let left_out = LeftOut::of(&[CONG, TOS]);
    let mut cache = Cache::new();
    let mut poll = |message: &[u8], left_out| {
        cache.begin_poll();
        cache.update(view(message), left_out)
    };
    assert_eq!(poll(&part(1, 0), left_out), Some(Change::FirstSight), "not seen whole");
    assert_eq!(poll(&whole(1, 0, 0), LeftOut::NOTHING), Some(Change::FirstSight));
    for _ in 0..3 {
        assert_eq!(poll(&part(1, 0), left_out), None);
        assert_eq!(poll(&whole(1, 0, 0), LeftOut::NOTHING), None);
    }
    assert_eq!(poll(&part(1, 1), left_out), Some(Change::TcpInfo));
    assert_eq!(poll(&part(1, 1), left_out), None);
    assert_eq!(poll(&whole(1, 1, 0), LeftOut::NOTHING), None, "the poll before has told of the change");
    assert_eq!(poll(&part(1, 2), left_out), Some(Change::TcpInfo));
    assert_eq!(poll(&whole(1, 2, 7), LeftOut::NOTHING), Some(Change::Attribute), "TOS changed unseen");
    assert_eq!(poll(&part(1, 2), left_out), None);
    let without_tos = [part(1, 2), attribute(CONG, b"bbr\0")].concat();
    assert_eq!(poll(&without_tos, LeftOut::NOTHING), Some(Change::AttributeRemoved));
    assert_eq!(poll(&part(1, 2), left_out), None);
    assert_eq!(poll(&part(1, 2), LeftOut::NOTHING), Some(Change::AttributeRemoved), "all of it was asked for");
    assert_eq!(poll(&header(1), left_out), Some(Change::AttributeRemoved), "tcp_info was asked for");
}

struct Clock {
    now: Instant,
    patience: Patience,
}

impl Clock {
    fn new(milliseconds: u64) -> Self {
        let usual = Duration::from_millis(milliseconds);
        Self { now: Instant::now(), patience: Patience { usual, doubt_until: None, in_doubt: usual / 2 } }
    }

    /// One poll every 100 ms that sees these sockets; returns who vanished.
    fn poll(&mut self, cache: &mut Cache, seen: &[u32]) -> Vec<u64> {
        cache.begin_poll();
        for &cookie in seen {
            cache.update(view(&socket(cookie)), LeftOut::NOTHING);
        }
        self.now += Duration::from_millis(100);
        let mut vanished = Vec::new();
        cache.end_poll(self.now, self.patience, |gone, last| {
            if gone == Gone::Vanished {
                vanished.push(last.cookie());
            }
        });
        vanished
    }
}

#[test]
fn a_socket_whose_event_may_be_lost_is_given_up_sooner() {
    let mut cache = Cache::new();
    let mut clock = Clock::new(1000);
    clock.poll(&mut cache, &[1, 2, 3]);
    clock.poll(&mut cache, &[2, 3]);
    clock.patience.doubt_until = Some(clock.now);
    clock.poll(&mut cache, &[3]);
    let vanished: Vec<_> = (0..12).map(|_| clock.poll(&mut cache, &[3])).collect();
    assert_eq!(vanished.iter().position(|gone| *gone == [1]), Some(3), "after 500 ms");
    assert_eq!(vanished.iter().position(|gone| *gone == [2]), Some(9), "after 1000 ms");
}

#[test]
fn a_socket_vanishes_after_two_polls_and_the_grace() {
    let mut cache = Cache::new();
    let mut clock = Clock::new(250);
    assert!(clock.poll(&mut cache, &[1, 2]).is_empty());
    assert_eq!(cache.unseen(), 0);
    assert!(clock.poll(&mut cache, &[2]).is_empty());
    assert_eq!(cache.unseen(), 1);
    assert!(clock.poll(&mut cache, &[2]).is_empty());
    assert!(clock.poll(&mut cache, &[2]).is_empty());
    assert_eq!(clock.poll(&mut cache, &[2]), [1]);
    assert_eq!(cache.unseen(), 0);
    assert!(clock.poll(&mut cache, &[2]).is_empty());
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_socket_that_a_dump_skipped_and_that_comes_back_is_not_new() {
    let mut cache = Cache::new();
    let mut clock = Clock::new(250);
    clock.poll(&mut cache, &[1, 2]);
    for _ in 0..10 {
        assert!(clock.poll(&mut cache, &[2]).is_empty());
        cache.begin_poll();
        assert_eq!(cache.update(view(&socket(1)), LeftOut::NOTHING), None);
    }
}

#[test]
fn a_poll_that_failed_makes_nothing_look_vanished() {
    let mut cache = Cache::new();
    let mut clock = Clock::new(250);
    clock.poll(&mut cache, &[1, 2, 3]);
    for _ in 0..100 {
        cache.begin_poll(); // and the dump broke off after one socket
        cache.update(view(&socket(2)), LeftOut::NOTHING);
        clock.now += Duration::from_secs(1);
    }
    assert!(clock.poll(&mut cache, &[1, 2, 3]).is_empty());
    assert_eq!(cache.len(), 3);
}

#[test]
fn a_destroyed_socket_is_forgotten_at_once() {
    let mut cache = Cache::new();
    let mut clock = Clock::new(250);
    clock.poll(&mut cache, &[1, 2]);
    assert!(cache.contains(1) && cache.remove(1) && !cache.remove(1));
    assert_eq!(cache.unseen(), 0);
    assert!(clock.poll(&mut cache, &[2]).is_empty());
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_socket_dumped_twice_in_one_poll_is_counted_once() {
    let mut cache = Cache::new();
    let mut clock = Clock::new(250);
    clock.poll(&mut cache, &[1, 2]);
    clock.poll(&mut cache, &[1, 1]);
    clock.poll(&mut cache, &[1, 1]);
    clock.poll(&mut cache, &[1, 1]);
    assert_eq!(clock.poll(&mut cache, &[1, 1]), [2]);
}

proptest! {
    #[test]
    fn the_quick_and_the_thorough_comparison_agree(
        payloads in proptest::collection::btree_map(1u16..24, proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        at in any::<prop::sample::Index>(),
        flip in any::<u8>(),
    ) {
        let mut old = header(1);
        for (kind, payload) in &payloads {
            old.extend(attribute(*kind, payload));
        }
        let mut new = old.clone();
        let at = at.index(new.len());
        prop_assume!(!(44..52).contains(&at));
        new[at] ^= flip;
        let mut cache = Cache::new();
        cache.begin_poll();
        cache.update(view(&old), LeftOut::NOTHING);
        let update = cache.update(view(&new), LeftOut::NOTHING);
        prop_assert_eq!(update, change_between(view(&old), view(&new)));
        if update.is_some() {
            prop_assert_eq!(cache.update(view(&new), LeftOut::NOTHING), None);
        }
    }
}

#[test]
fn absence_is_told_once_before_the_patience_ends() {
    let mut cache = Cache::new();
    let patience = Patience { usual: Duration::from_secs(600), ..Patience::NONE };
    let begin = Instant::now();
    let poll = |cache: &mut Cache, milliseconds: u64, sockets: &[u32]| {
        cache.begin_poll();
        for &cookie in sockets {
            cache.update(view(&socket(cookie)), LeftOut::NOTHING);
        }
        let mut told = Vec::new();
        let now = begin + Duration::from_millis(milliseconds);
        cache.end_poll(now, patience, |gone, last| told.push((gone, last.cookie())));
        told
    };
    assert_eq!(poll(&mut cache, 0, &[1, 2]), []);
    assert_eq!(poll(&mut cache, 10, &[1]), [], "one poll may skip a socket");
    assert_eq!(poll(&mut cache, 200, &[1]), [(Gone::Absent, 2)]);
    assert_eq!(poll(&mut cache, 400, &[1]), [], "once");
    assert_eq!(poll(&mut cache, 600, &[1, 2]), []);
    assert_eq!(poll(&mut cache, 610, &[1]), []);
    assert_eq!(poll(&mut cache, 800, &[1]), [(Gone::Absent, 2)], "and again when it was seen in between");
    assert_eq!(poll(&mut cache, 600_700, &[1]), [(Gone::Vanished, 2)]);
}
