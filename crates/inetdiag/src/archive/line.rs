//! Reading one line: JSON keys into an [`ArchivalRecord`], base64 decoded on the way, no value in between.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zerocopy::FromBytes;

use super::record::{ArchivalRecord, AttributeSet};
use crate::abi::InetDiagMsg;

/// Which attributes are decoded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Wanted {
    /// All there are.
    #[default]
    All,
    /// Those whose bit is set.
    Only(u64),
}

impl Wanted {
    fn has(self, kind: u32) -> bool {
        match self {
            Self::All => true,
            Self::Only(bits) => bits.checked_shr(kind).is_some_and(|bits| bits & 1 == 1),
        }
    }
}

/// Parses `line` into `record`. After an error the record holds some of it and must not be used.
pub(super) fn parse(line: &[u8], wanted: Wanted, record: &mut ArchivalRecord) -> serde_json::Result<()> {
    record.reset();
    let mut json = serde_json::Deserializer::from_slice(line);
    json.deserialize_map(RecordVisitor(record, wanted))?;
    json.end()
}

/// Text borrowed from the line, or owned where it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct RecordVisitor<'r>(&'r mut ArchivalRecord, Wanted);

impl<'de> Visitor<'de> for RecordVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an archive record")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "Timestamp" => {
                    let Text(text) = map.next_value()?;
                    self.0.timestamp = DateTime::parse_from_rfc3339(&text)
                        .map_err(|error| M::Error::custom(format_args!("Timestamp {text:?}: {error}")))?;
                }
                "RawIDM" => {
                    self.0.raw_idm = match map.next_value::<Option<Text<'_>>>()? {
                        Some(Text(text)) => Some(raw_idm(&text).map_err(M::Error::custom)?),
                        None => None,
                    };
                }
                "Attributes" => map.next_value_seed(AttributesSeed(&mut self.0.attributes, self.1))?,
                "Metadata" => self.0.metadata = map.next_value()?,
                "Poll" => self.0.poll = map.next_value()?,
                "Final" => self.0.is_final = map.next_value()?,
                "Streams" => self.0.streams = map.next_value()?,
                "Estats" => {
                    let text = map.next_value::<Option<Text<'_>>>()?;
                    self.0.estats = match text {
                        Some(Text(text)) => Some(estats(&text).map_err(M::Error::custom)?),
                        None => None,
                    };
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if self.0.raw_idm.is_none() && self.0.metadata.is_none() {
            return Err(M::Error::custom("neither RawIDM nor Metadata"));
        }
        Ok(())
    }
}

fn raw_idm(text: &str) -> Result<InetDiagMsg, String> {
    let bytes = STANDARD.decode(text).map_err(|error| format!("RawIDM is no base64: {error}"))?;
    let (header, _) = InetDiagMsg::read_from_prefix(&bytes)
        .map_err(|_| format!("RawIDM has {} bytes, needs {}", bytes.len(), InetDiagMsg::SIZE))?;
    Ok(header)
}

fn estats(text: &str) -> Result<Box<[u8]>, String> {
    STANDARD.decode(text).map(Vec::into_boxed_slice).map_err(|error| format!("Estats is no base64: {error}"))
}

struct AttributesSeed<'r>(&'r mut AttributeSet, Wanted);

impl<'de> DeserializeSeed<'de> for AttributesSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AttributesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of base64 values")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        self.0.clear();
        for kind in 0.. {
            if !self.1.has(kind) {
                match seq.next_element::<IgnoredAny>()? {
                    None => break,
                    Some(_) => self.0.push_absent(),
                }
                continue;
            }
            match seq.next_element::<Option<Text<'_>>>()? {
                None => break,
                Some(None) => self.0.push_absent(),
                Some(Some(Text(text))) => self
                    .0
                    .push_with(|bytes| STANDARD.decode_vec(text.as_bytes(), bytes))
                    .map_err(|error| S::Error::custom(format_args!("attribute {kind} is no base64: {error}")))?,
            }
        }
        Ok(())
    }
}
