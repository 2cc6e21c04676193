//! Connections of one pair of ends, one after the other, with all that is told of them late to some degree.

use proptest::prelude::*;

use super::tests::*;
use super::*;

/// What there is of a connection.
#[derive(Debug, Clone)]
struct Life {
    packets: u32,
    /// Whether a poll sees its socket.
    is_polled: bool,
    /// Whether the capture tells of it while it lasts, too.
    is_told_of: bool,
    /// Whether the capture sees its end; if not, only the next one tells that it is over.
    ends: bool,
    /// Whether its destroy event, and its account, come at all.
    has_event: bool,
    has_account: bool,
    /// Milliseconds until the next one begins.
    pause: u64,
}

/// What comes to the joiner.
#[derive(Debug, Clone)]
enum Step {
    Account(Box<Account>),
    /// A poll saw the socket at this time.
    Poll(u64, u32, u64),
    Destroy(u64, u32),
}

impl Step {
    fn seen(&self) -> Option<u64> {
        match self {
            Self::Poll(_, _, seen) => Some(*seen),
            Self::Account(_) | Self::Destroy(..) => None,
        }
    }
}

/// What comes, and when: accounts are so much late, events and polls so much, each in their order.
fn steps(lives: &[Life], accounts_late: u64, events_late: u64) -> Vec<(u64, Step)> {
    let mut steps = Vec::new();
    let mut now = 10;
    for (life, cookie) in lives.iter().zip(1..) {
        let begin = now;
        let told = |packets, ended, at| {
            let mut account = account(LOCAL, PEER, packets, ended);
            account.began = time(begin).timestamp_nanos_opt().expect("a time") as u64;
            for stream in [&mut account.a_to_b, &mut account.b_to_a] {
                // Whose it is: nothing else makes use of this number.
                stream.keep_alives = cookie;
                stream.last_packet = time(at).timestamp_micros() as u64;
            }
            Box::new(account)
        };
        if life.has_account && life.is_told_of {
            steps.push((now + accounts_late, Step::Account(told(u64::from(life.packets) / 2, false, now))));
        }
        if life.is_polled {
            let seen = now + 5;
            steps.push((seen + events_late, Step::Poll(cookie, life.packets, seen)));
        }
        now += 10;
        if life.has_account {
            steps.push((now + accounts_late, Step::Account(told(life.packets.into(), life.ends, now))));
        }
        if life.has_event {
            steps.push((now + events_late, Step::Destroy(cookie, life.packets)));
        }
        now += life.pause;
    }
    steps.sort_by_key(|&(at, _)| at);
    steps
}

/// What a record got: of which connection, and how many packets that had.
type Got = Option<(u64, u64)>;

/// What the records of each socket got, final records last.
fn run(steps: Vec<(u64, Step)>, fetch_every: u64) -> Vec<(u64, Got)> {
    let mut capture = Capture::new();
    let (mut now, mut got) = (0, Vec::new());
    let whose = |streams: Streams| (streams.sent.keep_alives, streams.sent.packets);
    let polls: Vec<_> = steps.iter().filter_map(|(at, step)| Some((step.seen()?, *at))).collect();
    let let_go = |capture: &mut Capture, got: &mut Vec<_>| {
        while let Some(released) = capture.joiner.released() {
            let cookie = Message::new(&released.message).expect("a socket").cookie();
            got.push((cookie, released.streams.map(whose)));
        }
    };
    for (at, step) in steps {
        while now < at {
            now += 1;
            // What a poll saw is looked at before accounts are fetched again.
            let is_polling = polls.iter().any(|&(seen, looked_at)| seen < now && now <= looked_at);
            if now.is_multiple_of(fetch_every) && !is_polling {
                capture.tell(now - capture.milliseconds, &[]);
                let_go(&mut capture, &mut got);
            }
        }
        match step {
            Step::Account(account) => capture.sender.send(*account).expect("is taken"),
            Step::Poll(cookie, packets, _) => {
                let bytes = counted(cookie, packets, packets + 1, 0);
                let streams = capture.joiner.news(Message::new(&bytes).expect("a socket"));
                got.extend(streams.map(|streams| (cookie, Some(whose(streams)))));
            }
            Step::Destroy(cookie, packets) => {
                let bytes = counted(cookie, packets, packets + 1, 0);
                let streams = capture.joiner.last_at(Message::new(&bytes).expect("a socket"), time(at));
                capture.joiner.stamp(time(at));
                if !capture.joiner.close(cookie) {
                    got.push((cookie, streams.map(whose)));
                }
            }
        }
        let_go(&mut capture, &mut got);
    }
    (0..20).for_each(|_| capture.tell(100, &[]));
    let_go(&mut capture, &mut got);
    got
}

/// The last of them.
fn last(got: &[(u64, Got)], cookie: u64) -> Got {
    got.iter().rfind(|(of, _)| *of == cookie).and_then(|(_, packets)| *packets)
}

/// Flags of a life, and the pause behind it: those that are `certain` hold.
fn life(certain: bool) -> impl Strategy<Value = (bool, bool, bool, bool, bool, u64)> {
    let comes = move || if certain { Just(true).boxed() } else { prop::bool::weighted(0.7).boxed() };
    let is_polled = prop::sample::select(vec![false, false, true]);
    (is_polled, any::<bool>(), prop::bool::weighted(0.8), comes(), comes(), 1..60u64)
}

fn lives(are_lost: bool) -> impl Strategy<Value = Vec<Life>> {
    prop::collection::vec(life(!are_lost), 1..12).prop_shuffle().prop_map(|lives| {
        let with_number = |(number, it): (usize, (bool, bool, bool, bool, bool, u64))| {
            let (is_polled, is_told_of, ends, has_event, has_account, pause) = it;
            // So different that none is taken for another.
            let packets = 10 * 5_u32.pow(1 + (number as u32 * 7) % 12);
            // As long as neither side has told that it is over, nobody can know it.
            let (is_told_of, ends) = (is_told_of && has_event, ends || !has_event);
            Life { packets, is_polled, is_told_of, ends, has_event, has_account, pause }
        };
        lives.into_iter().enumerate().map(with_number).collect()
    })
}

/// All alike, and some are aborted here, which leaves no final record. Between two there is more time than events take.
fn aborted() -> impl Strategy<Value = Vec<Life>> {
    prop::collection::vec((any::<bool>(), 50..200u64), 1..12).prop_map(|lives| {
        let life = |(has_event, pause)| Life {
            packets: 8,
            is_polled: false,
            is_told_of: false,
            ends: true,
            has_event,
            has_account: true,
            pause,
        };
        lives.into_iter().map(life).collect()
    })
}

proptest! {
    #[test]
    fn each_final_record_has_its_own_however_late_all_is(
        lives in lives(false),
        accounts_late in 0..300u64,
        events_late in 0..100u64,
        fetch_every in prop::sample::select(vec![10, 100, 500]),
    ) {
        let got = run(steps(&lives, accounts_late, events_late), fetch_every);
        prop_assert!(got.iter().all(|(cookie, got)| got.is_none_or(|(of, _)| of == *cookie)), "{:?}", got);
        for (life, cookie) in lives.iter().zip(1..) {
            prop_assert_eq!(last(&got, cookie), Some((cookie, life.packets.into())), "{} of {:?}", cookie, &got);
        }
    }

    #[test]
    fn whatever_is_lost_no_record_has_that_of_another(
        lives in lives(true),
        accounts_late in 0..2000u64,
        events_late in 0..100u64,
        fetch_every in prop::sample::select(vec![10, 100, 500]),
    ) {
        let got = run(steps(&lives, accounts_late, events_late), fetch_every);
        prop_assert!(got.iter().all(|(cookie, got)| got.is_none_or(|(of, _)| of == *cookie)), "{:?}", got);
    }

    #[test]
    fn what_is_left_of_those_without_a_final_record_is_not_the_next_ones(
        lives in aborted(),
        accounts_late in 0..50u64,
        events_late in 0..40u64,
        fetch_every in prop::sample::select(vec![10, 20]),
    ) {
        let got = run(steps(&lives, accounts_late, events_late), fetch_every);
        for (_, cookie) in lives.iter().zip(1..).filter(|(life, _)| life.has_event) {
            prop_assert_eq!(last(&got, cookie), Some((cookie, 8)), "{} of {:?}", cookie, &got);
        }
    }
}
