//! What one record says of the progress of a connection, and what happened between two of them.

use chrono::{DateTime, Utc};
use inetdiag::TcpInfo;

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
    /// Microseconds with data outstanding.
    pub busy_time: u64,
    /// Microseconds of these stopped by the receiver's window.
    pub rwnd_limited: u64,
    /// Microseconds of these stopped by the send buffer.
    pub sndbuf_limited: u64,
    is_app_limited: bool,
    is_recovering: bool,
    total_retrans: u32,
    retransmits: u8,
    total_rto: Option<u16>,
}

impl Sample {
    /// Of that record.
    pub fn new(time: DateTime<Utc>, info: &TcpInfo) -> Self {
        Self {
            time,
            bytes_acked: info.bytes_acked().unwrap_or(0),
            bytes_received: info.bytes_received().unwrap_or(0),
            busy_time: info.busy_time().unwrap_or(0),
            rwnd_limited: info.rwnd_limited().unwrap_or(0),
            sndbuf_limited: info.sndbuf_limited().unwrap_or(0),
            is_app_limited: info.delivery_rate_app_limited() == Some(true),
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

/// What happened between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// Retransmission timeouts.
    pub rtos: u64,
    /// Times that loss was found, and repaired for a while.
    pub loss_episodes: u64,
    /// Microseconds with data outstanding in which nothing but the application kept from sending more.
    pub app_limited: u64,
}

impl Events {
    /// Between these two.
    pub fn between(before: &Sample, after: &Sample) -> Self {
        let rtos = match (before.total_rto, after.total_rto) {
            (Some(before), Some(after)) => u64::from(after.wrapping_sub(before)),
            // Older kernels only count those in a row.
            _ => after.retransmits.saturating_sub(before.retransmits).into(),
        };
        // Of an episode that is over before the next poll retransmissions are left.
        let retransmitted = after.total_retrans > before.total_retrans;
        let begins = !before.is_recovering && (after.is_recovering || retransmitted);
        Self {
            rtos,
            loss_episodes: begins.into(),
            app_limited: if after.is_app_limited { unhindered(before, after) } else { 0 },
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.rtos += other.rtos;
        self.loss_episodes += other.loss_episodes;
        self.app_limited += other.app_limited;
    }
}

/// Microseconds with data outstanding and neither window nor buffer full.
fn unhindered(before: &Sample, after: &Sample) -> u64 {
    let passed = |counter: fn(&Sample) -> u64| counter(after).saturating_sub(counter(before));
    passed(|s| s.busy_time).saturating_sub(passed(|s| s.rwnd_limited)).saturating_sub(passed(|s| s.sndbuf_limited))
}
