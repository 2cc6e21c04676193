//! What is known of a connection at one moment: the kernel's record of it, and the value of the programs.

use inetdiag::attribute::{INET_DIAG_INFO, INET_DIAG_TCLASS, INET_DIAG_TOS};
use inetdiag::columns::Row;
use inetdiag::{InetDiagMsg, Message, Snapshot, TcpInfo, TcpState};

use crate::{RawValue, Value, flags};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

/// A connection at one moment. Each part may be missing: what is made of it is absent then.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Header of the record.
    pub header: Option<InetDiagMsg>,
    /// `INET_DIAG_INFO`.
    pub info: Option<TcpInfo>,
    /// `INET_DIAG_TOS`.
    pub tos: Option<u8>,
    /// `INET_DIAG_TCLASS`.
    pub tclass: Option<u8>,
    /// The programs' value.
    pub value: Option<Value>,
    /// When, in nanoseconds since 1970.
    pub time: Option<u64>,
}

impl Sample {
    /// A message of a poll, at the time of the poll. The value is in it, if the poll asked for it.
    pub fn of_message(message: &Message<'_>, time: Option<u64>) -> Self {
        let byte = |kind| message.attribute(kind)?.payload.first().copied();
        Self {
            header: Some(*message.header()),
            info: message
                .attribute(INET_DIAG_INFO)
                .filter(|_| !message.header().is_cleared())
                .map(|attribute| TcpInfo::decode(attribute.payload)),
            tos: byte(INET_DIAG_TOS),
            tclass: byte(INET_DIAG_TCLASS),
            value: Value::of_message(message),
            time,
        }
    }

    /// A record of an archive, or a decoded message.
    pub fn of_snapshot(snapshot: &Snapshot) -> Self {
        Self {
            header: snapshot.idm,
            info: snapshot.tcp_info.filter(|_| !snapshot.idm.as_ref().is_some_and(InetDiagMsg::is_cleared)),
            tos: snapshot.tos,
            tclass: snapshot.tclass,
            value: Value::of_storages(&snapshot.sk_bpf_storages),
            time: snapshot.timestamp.and_then(|time| time.timestamp_nanos_opt()?.try_into().ok()),
        }
    }

    /// A row of a table.
    pub fn of_row(row: &Row<'_>) -> Self {
        let value = row.record.estats.as_deref().and_then(Value::decode);
        let sample = Self::of_snapshot(&row.snapshot);
        Self { value: value.or(sample.value), ..sample }
    }

    /// The same with this value: the last one of the socket, which comes by itself.
    pub fn with_value(self, value: Value) -> Self {
        Self { value: Some(value), ..self }
    }

    pub(crate) fn info(&self) -> Option<&TcpInfo> {
        self.info.as_ref()
    }

    /// The programs' counts.
    pub(crate) fn raw(&self) -> Option<&RawValue> {
        self.value.as_ref().map(|value| &value.raw)
    }

    /// The same, if callbacks tell of it.
    pub(crate) fn called(&self) -> Option<&RawValue> {
        self.raw().filter(|raw| raw.flags & flags::SILENT == 0)
    }

    /// The same, if segments were looked at.
    pub(crate) fn segments(&self) -> Option<&RawValue> {
        self.value.as_ref().filter(|value| value.has(flags::FULL)).map(|value| &value.raw)
    }

    /// The same, if the connection was established while the programs looked, or before.
    pub(crate) fn established(&self) -> Option<&RawValue> {
        self.value.as_ref().filter(|value| value.has(flags::ESTABLISHED)).map(|value| &value.raw)
    }

    /// State of the socket.
    pub(crate) fn state(&self) -> Option<TcpState> {
        match &self.header {
            Some(header) => header.state(),
            None => TcpState::from_number(self.info()?.state()?),
        }
    }

    /// Whether options are negotiated. What was closed may never have been established, unless the programs know.
    pub(crate) fn is_negotiated(&self) -> bool {
        use TcpState::{Close, Listen, NewSynRecv, SynRecv, SynSent};
        self.established().is_some()
            || self.state().is_some_and(|state| !matches!(state, Close | Listen | NewSynRecv | SynRecv | SynSent))
    }

    /// Segments in octets.
    pub(crate) fn octets(&self, segments: u32) -> Option<u64> {
        Some(u64::from(segments) * u64::from(self.info()?.snd_mss()?))
    }

    /// Microseconds from the start to the last segment: what the programs saw last, or what the poll says where that is later by
    /// more than the ages in it are exact.
    pub(crate) fn elapsed(&self) -> Option<u64> {
        /// Ages are told in milliseconds, and counted in ticks of up to ten.
        const TICK: u64 = 11 * MILLISECOND / MICROSECOND;
        let raw = self.raw()?;
        let seen = raw.mstamp.saturating_sub(raw.start_monotonic);
        if raw.flags & flags::CLOSED != 0 {
            return Some(seen);
        }
        let polled = || {
            let age = self.info()?.last_activity()?;
            let last = self.time?.checked_sub(u64::from(age) * MILLISECOND)?;
            Some(last.saturating_sub(raw.start) / MICROSECOND)
        };
        Some(polled().filter(|&polled| polled > seen + TICK).unwrap_or(seen))
    }

    /// Microseconds from the start to this moment.
    pub(crate) fn age(&self) -> Option<u64> {
        Some(self.time?.saturating_sub(self.raw()?.start) / MICROSECOND)
    }

    /// Octets sent and not acknowledged. Destroy events have no queues.
    pub(crate) fn retransmission_queue(&self) -> Option<u32> {
        self.open_header()?.idiag_wqueue.get().checked_sub(self.info()?.notsent_bytes()?)
    }

    /// Octets received in order and not read.
    pub(crate) fn read_queue(&self) -> Option<u32> {
        Some(self.open_header()?.idiag_rqueue.get())
    }

    fn open_header(&self) -> Option<&InetDiagMsg> {
        let header = self.header.as_ref()?;
        let is_open = !matches!(header.state()?, TcpState::Close | TcpState::Listen | TcpState::TimeWait);
        is_open.then_some(header)
    }

    /// `snd_una`.
    pub(crate) fn snd_una(&self) -> Option<u32> {
        Some(self.established()?.snd_base.wrapping_add(self.info()?.bytes_acked()? as u32))
    }

    /// `rcv_nxt`.
    pub(crate) fn rcv_nxt(&self) -> Option<u32> {
        Some(self.established()?.rcv_base.wrapping_add(self.info()?.bytes_received()? as u32))
    }

    /// `snd_nxt`.
    pub(crate) fn snd_nxt(&self) -> Option<u32> {
        Some(self.snd_una()?.wrapping_add(self.retransmission_queue()?))
    }
}
