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
        let told = |packets, ended| Account {
            began: time(begin).timestamp_nanos_opt().expect("a time") as u64,
            ..account(LOCAL, PEER, packets, ended)
        };
        if life.has_account && life.is_told_of {
            steps.push((now + accounts_late, Step::Account(Box::new(told(u64::from(life.packets) / 2, false)))));
        }
        if life.is_polled {
            let seen = now + 5;
            steps.push((seen + events_late, Step::Poll(cookie, life.packets, seen)));
        }
        now += 10;
        if life.has_account {
            steps.push((now + accounts_late, Step::Account(Box::new(told(life.packets.into(), life.ends)))));
        }
        if life.has_event {
            steps.push((now + events_late, Step::Destroy(cookie, life.packets)));
        }
        now += life.pause;
    }
    steps.sort_by_key(|&(at, _)| at);
    steps
}

/// The connections that the records of each socket got the account of, final records last.
fn run(steps: Vec<(u64, Step)>, fetch_every: u64) -> Vec<(u64, Option<u64>)> {
    let mut capture = Capture::new();
    let (mut now, mut got) = (0, Vec::new());
    let began = |streams: Streams| streams.sent.packets;
    let polls: Vec<_> = steps.iter().filter_map(|(at, step)| Some((step.seen()?, *at))).collect();
    for (at, step) in steps {
        while now < at {
            now += 1;
            // What a poll saw is looked at before accounts are fetched again.
            let is_polling = polls.iter().any(|&(seen, looked_at)| seen < now && now <= looked_at);
            if !now.is_multiple_of(fetch_every) || is_polling {
                continue;
            }
            capture.tell(now - capture.milliseconds, &[]);
            got.extend(capture.released().into_iter().map(|(cookie, packets)| (cookie, packets.map(|it| it.0))));
        }
        match step {
            Step::Account(account) => capture.sender.send(*account).expect("is taken"),
            Step::Poll(cookie, packets, _) => {
                let bytes = counted(cookie, packets, packets + 1);
                let streams = capture.joiner.news(Message::new(&bytes).expect("a socket"));
                got.extend(streams.map(|streams| (cookie, Some(began(streams)))));
            }
            Step::Destroy(cookie, packets) => {
                let bytes = counted(cookie, packets, packets + 1);
                let message = Message::new(&bytes).expect("a socket");
                let streams = capture.joiner.last(message);
                capture.joiner.stamp(time(at));
                if !capture.joiner.close(cookie) {
                    got.push((cookie, streams.map(began)));
                }
            }
        }
        got.extend(capture.released().into_iter().map(|(cookie, packets)| (cookie, packets.map(|it| it.0))));
    }
    (0..20).for_each(|_| capture.tell(100, &[]));
    got.extend(capture.released().into_iter().map(|(cookie, packets)| (cookie, packets.map(|it| it.0))));
    got
}

/// Whether an account of so many packets is that of the connection, or of its first half.
fn is_of(life: &Life, packets: u64) -> bool {
    let all = u64::from(life.packets);
    packets == all || packets == all / 2
}

fn lives(are_lost: bool) -> impl Strategy<Value = Vec<Life>> {
    let comes = move || if are_lost { prop::bool::weighted(0.7).boxed() } else { Just(true).boxed() };
    let life = (
        prop::sample::select(vec![false, false, true]),
        any::<bool>(),
        prop::bool::weighted(0.8),
        comes(),
        comes(),
        1..60u64,
    );
    prop::collection::vec(life, 1..12).prop_shuffle().prop_map(|lives| {
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

proptest! {
    #[test]
    fn each_final_record_has_its_own_however_late_all_is(
        lives in lives(false),
        accounts_late in 0..300u64,
        events_late in 0..100u64,
        fetch_every in prop::sample::select(vec![10, 100, 500]),
    ) {
        let got = run(steps(&lives, accounts_late, events_late), fetch_every);
        for (cookie, packets) in &got {
            let life = &lives[*cookie as usize - 1];
            prop_assert!(packets.is_none_or(|packets| is_of(life, packets)), "{cookie} has {packets:?} of {life:?}");
        }
        for (life, cookie) in lives.iter().zip(1..) {
            let last = got.iter().rfind(|(of, _)| *of == cookie).and_then(|(_, packets)| *packets);
            prop_assert_eq!(last, Some(life.packets.into()), "{} of {:?}", cookie, &got);
        }
    }

    #[test]
    fn whatever_is_lost_no_record_has_that_of_another(
        lives in lives(true),
        accounts_late in 0..2000u64,
        events_late in 0..100u64,
        fetch_every in prop::sample::select(vec![10, 100, 500]),
    ) {
        for (cookie, packets) in run(steps(&lives, accounts_late, events_late), fetch_every) {
            let life = &lives[cookie as usize - 1];
            prop_assert!(packets.is_none_or(|packets| is_of(life, packets)), "{cookie} has {packets:?} of {life:?}");
        }
    }
}
