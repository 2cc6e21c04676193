//! Statistics of packets, by the keys that docs/archive-format.md has.

use inetdiag::Streams;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Always there.
pub(crate) const NUMBERS: &str = "LastPacket Packets Bytes Retransmits RetransmittedBytes SpuriousRetransmits OutOfOrder \
    AheadOfGap Gaps GapBytes DuplicateAcks ZeroWindowEvents ZeroWindowTime ZeroWindowProbes KeepAlives UnseenAcked Syns Fins Resets \
    Sacks Dsacks Ect Ce Ece Cwr DelaySamples";
/// Absent where they are not known.
pub(crate) const IF_KNOWN: &str = "Window WindowScale DelayMin DelayAvg DelayMax Jitter Bitrate MaxBitrate HealthScore";

/// Both directions as JSON: each key with the value that is chosen for it, or without one.
pub(crate) fn json(mut value: impl FnMut() -> Option<u64>) -> Value {
    let mut stream = || {
        let numbers: Vec<_> = NUMBERS.split(' ').map(|key| (key.to_owned(), value().unwrap_or(0).into())).collect();
        let known = IF_KNOWN.split(' ').filter_map(|key| Some((key.to_owned(), value()?.into())));
        Value::Object(numbers.into_iter().chain(known).collect())
    };
    Value::Object(Map::from_iter([("Sent".to_owned(), stream()), ("Received".to_owned(), stream())]))
}

/// A value of the type, of this JSON.
pub(crate) fn streams(json: Value) -> Streams {
    serde_json::from_value(json).expect("has all keys")
}

/// Any numbers, large and small.
pub(crate) fn any_streams() -> impl Strategy<Value = Streams> {
    let number = prop_oneof![any::<u64>(), 0..1000u64, Just(u64::MAX)];
    prop::collection::vec(prop::option::weighted(0.8, number), 70).prop_map(|numbers| {
        let mut numbers = numbers.into_iter();
        streams(json(|| numbers.next().expect("there are 70")))
    })
}
