//! What one record says of the progress of a connection.

use chrono::{DateTime, Utc};
use inetdiag::{SkMemInfo, TcpInfo};

/// States of congestion avoidance from which on segments are considered lost: 3 Recovery, 4 Loss.
const RECOVERY: u8 = 3;

/// Counters of one moment. What the kernel does not send counts as 0, and never moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub time: DateTime<Utc>,
    /// Bytes the peer has acknowledged.
    pub bytes_acked: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
    /// Microseconds with data outstanding, by the kernel's clock of some milliseconds.
    pub busy_time: u64,
    /// Microseconds of these stopped by the receiver's window.
    pub rwnd_limited: u64,
    /// Microseconds of these stopped by the send buffer.
    pub sndbuf_limited: u64,
    /// What kept it from sending more.
    pub hold: Hold,
    /// Whether it repairs a loss.
    pub is_recovering: bool,
    /// Segments sent again.
    pub total_retrans: u32,
    /// Retransmission timeouts in a row.
    pub retransmits: u8,
    /// All of them.
    pub total_rto: Option<u16>,
}

/// What keeps a connection from sending more at one moment, where the kernel does not count that time itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nothing is outstanding.
    Idle,
    /// All that the send buffer holds has been sent, and it takes no more.
    Buffer,
    /// All that the application gave has been sent, and there would be room for more.
    Application,
    /// Something waits to be sent: congestion control holds it back.
    Congestion,
}

impl Hold {
    fn of(info: &TcpInfo, memory: Option<&SkMemInfo>) -> Self {
        let unsent = info.notsent_bytes();
        let (queued, limit) = (memory.and_then(SkMemInfo::wmem_queued), memory.and_then(SkMemInfo::sndbuf));
        // The kernel tells an application that there is room while less than this is queued.
        let is_full = queued.zip(limit).is_some_and(|(queued, limit)| queued > 0 && queued >= limit);
        // The flag is that of the best measurement of the last while: it may be from before what waits now.
        let is_short = info.delivery_rate_app_limited() == Some(true) && unsent.is_none_or(|unsent| unsent == 0);
        match unsent {
            Some(0) if info.unacked() == Some(0) => Self::Idle,
            Some(0) if is_full => Self::Buffer,
            _ if is_short => Self::Application,
            _ => Self::Congestion,
        }
    }
}

impl Sample {
    /// Of that record.
    pub fn new(time: DateTime<Utc>, info: &TcpInfo, memory: Option<&SkMemInfo>) -> Self {
        Self {
            time,
            bytes_acked: info.bytes_acked().unwrap_or(0),
            bytes_received: info.bytes_received().unwrap_or(0),
            busy_time: info.busy_time().unwrap_or(0),
            rwnd_limited: info.rwnd_limited().unwrap_or(0),
            sndbuf_limited: info.sndbuf_limited().unwrap_or(0),
            hold: Hold::of(info, memory),
            is_recovering: info.ca_state().is_some_and(|state| state >= RECOVERY),
            total_retrans: info.total_retrans().unwrap_or(0),
            retransmits: info.retransmits().unwrap_or(0),
            total_rto: info.total_rto(),
        }
    }

    /// One with these counters, at which nothing had happened yet.
    pub fn before(&self) -> Self {
        Self {
            bytes_acked: 0,
            bytes_received: 0,
            busy_time: 0,
            rwnd_limited: 0,
            sndbuf_limited: 0,
            is_recovering: false,
            total_retrans: 0,
            retransmits: 0,
            total_rto: self.total_rto.map(|_| 0),
            ..*self
        }
    }
}
