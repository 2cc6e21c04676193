//! Records of one connection that wait to be written, in little memory.
//!
//! A poll's message of a busy socket differs from the one before in some twenty of its 130 words, and as a line of JSON
//! it is twice as long. So the first message is kept whole and each further one as the words in which it differs from
//! the first: about 100 bytes instead of 1,100. Ten thousand busy connections fit in memory that way until their frames
//! are large enough to compress well, and the lines are made right before they are compressed.

use chrono::DateTime;
use chrono::Utc;
use inetdiag::{Message, Origin, Streams};

/// Words of a message that one mask byte speaks for.
const GROUP_WORDS: usize = 8;
const WORD: usize = 4;
const GROUP: usize = GROUP_WORDS * WORD;
/// Time, number and kind in front of each message.
const FACTS: usize = 8 + 8 + 1;
const LEN: usize = 4;

/// The message follows as it is, behind its length.
const WHOLE: u8 = 1;
const FROM_POLL: u8 = 2;
const IS_FINAL: u8 = 4;

/// One record of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Record<'m> {
    /// The socket.
    pub message: Message<'m>,
    /// When the kernel was asked.
    pub time: DateTime<Utc>,
    /// How it came to be known.
    pub origin: Origin,
    /// What packets said of the connection.
    pub streams: Option<&'m Streams>,
}

/// Records in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    bytes: Vec<u8>,
    records: u32,
    /// Those of the records that have any, with the number of the record.
    streams: Vec<(u32, Box<Streams>)>,
    /// Bytes of their messages and streams.
    message_bytes: usize,
}

impl Pending {
    /// Records.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Bytes of their messages, in full length, and of their streams: half as long as their lines.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Bytes of memory taken.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.streams.capacity() * size_of::<(u32, Box<Streams>)>()
            + self.streams.len() * size_of::<Streams>()
    }

    /// Takes one record.
    pub(crate) fn push(&mut self, record: Record<'_>) {
        let message = record.message.as_bytes();
        let (number, kind) = match record.origin {
            Origin::Poll(number) => (number, FROM_POLL),
            Origin::Destroy { is_final: true } => (0, IS_FINAL),
            Origin::Destroy { is_final: false } => (0, 0),
        };
        let first = self.first();
        let alike = first.is_some_and(|first| self.bytes[first].len() == message.len());
        let groups = message.len().div_ceil(GROUP);
        self.bytes.reserve(FACTS + LEN + groups + message.len());
        self.bytes.extend_from_slice(&record.time.timestamp_millis().to_ne_bytes());
        self.bytes.extend_from_slice(&number.to_ne_bytes());
        if alike {
            self.bytes.push(kind);
            self.push_difference(message);
        } else {
            self.bytes.push(kind | WHOLE);
            self.bytes.extend_from_slice(&(message.len() as u32).to_ne_bytes());
            self.bytes.extend_from_slice(message);
        }
        if let Some(streams) = record.streams {
            self.streams.push((self.records, Box::new(*streams)));
            self.message_bytes += size_of::<Streams>();
        }
        self.records += 1;
        self.message_bytes += message.len();
    }

    /// Hands out the records, without the first `skip`, as long as `take` wants more.
    pub(crate) fn each(&self, skip: u32, mut take: impl FnMut(Record<'_>) -> bool) {
        let first = self.first().unwrap_or_default();
        let mut message = Vec::with_capacity(first.len() + WORD);
        let mut rest = Rest(&self.bytes);
        let mut streams = self.streams.iter().peekable();
        for number in 0..self.records {
            let time = DateTime::from_timestamp_millis(i64::from_ne_bytes(rest.array())).unwrap_or_default();
            let poll = u64::from_ne_bytes(rest.array());
            let [kind] = rest.array();
            message.clear();
            if kind & WHOLE != 0 {
                let len = u32::from_ne_bytes(rest.array()) as usize;
                message.extend_from_slice(rest.slice(len));
            } else {
                message.extend_from_slice(&self.bytes[first.clone()]);
                rest.apply_difference(&mut message);
            }
            let origin = match kind & FROM_POLL {
                0 => Origin::Destroy { is_final: kind & IS_FINAL != 0 },
                _ => Origin::Poll(poll),
            };
            let streams = streams.next_if(|(of, _)| *of == number).map(|(_, streams)| &**streams);
            // It was a message when it came.
            let Ok(message) = Message::new(&message) else { continue };
            if number >= skip && !take(Record { message, time, origin, streams }) {
                return;
            }
        }
    }

    /// Where the first message is.
    fn first(&self) -> Option<std::ops::Range<usize>> {
        let len = self.bytes.get(FACTS..FACTS + LEN)?.try_into().map(u32::from_ne_bytes).ok()? as usize;
        Some(FACTS + LEN..FACTS + LEN + len)
    }

    /// For each group of words: a mask of those that differ, and these.
    fn push_difference(&mut self, message: &[u8]) {
        for (group, new) in message.chunks(GROUP).enumerate() {
            let at = FACTS + LEN + group * GROUP;
            let mask_at = self.bytes.len();
            self.bytes.push(0);
            if self.bytes[at..at + new.len()] == *new {
                continue;
            }
            let mut mask = 0;
            for (number, word) in new.chunks(WORD).enumerate() {
                let at = at + number * WORD;
                if self.bytes[at..at + word.len()] != *word {
                    mask |= 1 << number;
                    self.bytes.extend_from_slice(word);
                }
            }
            self.bytes[mask_at] = mask;
        }
    }
}

/// What is not read yet.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
    fn slice(&mut self, len: usize) -> &'p [u8] {
        let (slice, rest) = self.0.split_at(len);
        self.0 = rest;
        slice
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(N));
        array
    }

    fn apply_difference(&mut self, message: &mut [u8]) {
        for group in message.chunks_mut(GROUP) {
            let [mask] = self.array();
            if mask != 0 {
                for (number, word) in group.chunks_mut(WORD).enumerate() {
                    if mask & 1 << number != 0 {
                        word.copy_from_slice(self.slice(word.len()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> impl Strategy<Value = Origin> {
        prop_oneof![
            any::<u64>().prop_map(Origin::Poll),
            any::<bool>().prop_map(|is_final| Origin::Destroy { is_final })
        ]
    }

    /// Most records have none.
    fn streams() -> impl Strategy<Value = Option<Streams>> {
        prop::option::weighted(0.3, any::<u64>()).prop_map(|packets| {
            let mut streams = Streams::default();
            (streams.sent.packets, streams.received.window) = (packets?, packets);
            Some(streams)
        })
    }

    type Kept = (Vec<u8>, i64, Origin, Option<Streams>);
    type Drawn = (usize, Vec<(prop::sample::Index, u8)>, i64, Origin, Option<Streams>);

    /// Messages that are mostly alike, in some of which bytes differ, and some of another length, aligned or not.
    fn messages() -> impl Strategy<Value = Vec<Kept>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20);
        let len = prop_oneof![8 => Just(516usize), 1 => 72..600usize];
        prop::collection::vec((len, changes, 0..4_102_444_800_000i64, origin(), streams()), 0..30).prop_map(|records| {
            let message = |(len, changes, time, origin, streams): Drawn| {
                let mut bytes = vec![0x5a; len];
                for (at, byte) in changes {
                    bytes[at.index(len)] = byte;
                }
                (bytes, time, origin, streams)
            };
            records.into_iter().map(message).collect()
        })
    }

    fn pending(records: &[Kept]) -> Pending {
        let mut pending = Pending::default();
        for (bytes, time, origin, streams) in records {
            let message = Message::new(bytes).expect("long enough");
            let time = DateTime::from_timestamp_millis(*time).expect("a time");
            pending.push(Record { message, time, origin: *origin, streams: streams.as_ref() });
        }
        pending
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn records_come_back_as_they_were(records in messages(), skip in 0u32..40) {
            let pending = pending(&records);
            prop_assert_eq!(pending.records() as usize, records.len());
            let len = |record: &Kept| record.0.len() + record.3.map_or(0, |_| size_of::<Streams>());
            prop_assert_eq!(pending.message_bytes(), records.iter().map(len).sum::<usize>());
            let streams = records.iter().filter(|record| record.3.is_some()).count();
            prop_assert!(pending.memory() >= pending.bytes.len() + streams * size_of::<Streams>());
            let mut back = Vec::new();
            pending.each(skip, |record| {
                let Record { message, time, origin, streams } = record;
                back.push((message.as_bytes().to_vec(), time.timestamp_millis(), origin, streams.copied()));
                true
            });
            prop_assert_eq!(&back[..], &records[(skip as usize).min(records.len())..]);
        }
    }

    #[test]
    fn a_record_takes_the_room_of_what_changed() {
        let base = vec![7u8; 516];
        let mut records = vec![(base.clone(), 1, Origin::Poll(1), None)];
        for number in 0..99u8 {
            let mut bytes = base.clone();
            for word in 0..20 {
                bytes[100 + 16 * word] = number;
            }
            records.push((bytes, 2, Origin::Poll(2), None));
        }
        let len = pending(&records).bytes.len();
        assert!(len < 600 + 99 * 120, "{len}");
    }

    #[test]
    fn whoever_wants_no_more_gets_no_more() {
        let record = (vec![0u8; 72], 1, Origin::Poll(1), None);
        let mut seen = 0;
        pending(&[record.clone(), record.clone(), record]).each(0, |_| {
            seen += 1;
            seen < 2
        });
        assert_eq!(seen, 2);
    }
}
