//! The line of an archive as a value.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use super::streams::Streams;
use crate::abi::attribute::INET_DIAG_INFO;
use crate::abi::{InetDiagMsg, TcpInfo};

/// One line of an archive: the header line has `metadata` and no `raw_idm`, a record has it the other way round.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivalRecord {
    /// When the kernel was asked, to the millisecond, with the offset from UTC that the file gives.
    pub timestamp: DateTime<FixedOffset>,
    /// The connection this file is of.
    pub metadata: Option<Metadata>,
    /// The fixed header of the socket message.
    pub raw_idm: Option<InetDiagMsg>,
    /// The attributes, undecoded.
    pub attributes: AttributeSet,
    /// Number of the poll that it is from. Polls of one run are numbered from 1, so that records of several connections
    /// line up, and a reader sees how often the recorder looked between two records. `None` if a destroy event told of
    /// it, or if the file is of the Go original.
    pub poll: Option<u64>,
    /// Whether this is the kernel's own last word on the connection (a destroy event): its counters are the totals.
    pub is_final: bool,
    /// What packets said of the connection up to then. Boxed, for most records have none.
    pub streams: Option<Box<Streams>>,
    /// Extended statistics (RFC 4898) of the connection up to then: the value that BPF programs keep with the socket, undecoded.
    pub estats: Option<Box<[u8]>>,
}

impl Default for ArchivalRecord {
    fn default() -> Self {
        Self {
            timestamp: zero_time(),
            metadata: None,
            raw_idm: None,
            attributes: AttributeSet::default(),
            poll: None,
            is_final: false,
            streams: None,
            estats: None,
        }
    }
}

impl ArchivalRecord {
    /// `tcp_info` alone, without decoding the other attributes; `None` where the kernel sent none.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        self.attributes.get(INET_DIAG_INFO).map(TcpInfo::decode)
    }

    /// Makes the value a new one, keeping its memory.
    pub(super) fn reset(&mut self) {
        self.timestamp = zero_time();
        self.metadata = None;
        self.raw_idm = None;
        self.attributes.clear();
        self.poll = None;
        self.is_final = false;
        self.streams = None;
        self.estats = None;
    }
}

/// How the recorder came to know what a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// By the poll of this number.
    Poll(u64),
    /// By the destroy event of the socket.
    Destroy {
        /// Whether the counters are the totals of the connection; they are not if the socket was disconnected before.
        is_final: bool,
    },
}

/// The time the Go original writes for "none": `0001-01-01T00:00:00Z`.
pub(super) fn zero_time() -> DateTime<FixedOffset> {
    const SECONDS_BEFORE_1970: i64 = 62_135_596_800;
    DateTime::from_timestamp(-SECONDS_BEFORE_1970, 0).unwrap_or_default().fixed_offset()
}

/// What the header line says of the connection, in every file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// Name of the connection, unique in the world; not to be parsed.
    #[serde(rename = "UUID")]
    pub uuid: String,
    /// Number of the file among the files of the connection, from 0.
    pub sequence: i64,
    /// When the recorder first saw the connection.
    #[serde(default = "zero_time")]
    pub start_time: DateTime<FixedOffset>,
    /// `uname -r` of the kernel that answered. The tail of `tcp_info` cannot be read without it. Not written by the Go original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_release: Option<String>,
    /// Boot id of that kernel: cookies are unique within it. Not written by the Go original.
    #[serde(default, rename = "BootID", skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The polling interval that was meant, such as `10ms`, or `off`. Not written by the Go original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The mean interval that was achieved in the second before the file was begun, such as `42ms`: longer than what was
    /// meant if polls cost more than they may. Not written by the Go original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub achieved_interval: Option<String>,
    /// What polls asked the kernel for: `full`, `lean`, or a list such as `info,cong`. An attribute that was not asked for
    /// is absent from the records. Not written by the Go original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_attributes: Option<String>,
    /// What has become of each hook of the programs that keep extended statistics: `active`, `not asked for`, or
    /// `unavailable` and why. Absent if they were not asked for, and in files of the Go original.
    #[serde(default, rename = "Estats", skip_serializing_if = "Option::is_none")]
    pub estats: Option<BTreeMap<String, String>>,
    /// The program that wrote the file, and its version. Not written by the Go original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The attributes of one record by number, in one allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeSet {
    bytes: Vec<u8>,
    spans: Vec<Option<Range<u32>>>,
}

impl AttributeSet {
    /// The value of attribute `kind`, `None` where the kernel sent none.
    pub fn get(&self, kind: u16) -> Option<&[u8]> {
        self.span(self.spans.get(usize::from(kind))?.as_ref()?)
    }

    /// The attributes that are there, by rising number.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.spans
            .iter()
            .enumerate()
            .filter_map(|(kind, span)| Some((u16::try_from(kind).ok()?, self.span(span.as_ref()?)?)))
    }

    fn span(&self, span: &Range<u32>) -> Option<&[u8]> {
        self.bytes.get(span.start as usize..span.end as usize)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Appends the next attribute number: absent, or with the value that `write` appends.
    pub(super) fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.bytes.len() as u32;
        write(&mut self.bytes)?;
        self.spans.push(Some(start..self.bytes.len() as u32));
        Ok(())
    }

    pub(super) fn push_absent(&mut self) {
        self.spans.push(None);
    }
}
