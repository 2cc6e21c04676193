//! What a message says of the bytes of its connection.

use inetdiag::{Message, TcpInfo, TcpState, attribute};

/// What a connection has carried so far. A field is absent where the kernel did not send it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Bytes of payload sent, each once; of Linux before 4.19 those acknowledged.
    pub sent: Option<u64>,
    /// Bytes of payload received in order.
    pub received: Option<u64>,
    /// Further bytes received that may be a FIN: 0 or 1.
    pub in_doubt: u64,
    /// Microseconds.
    pub min_rtt: Option<u32>,
    /// Bytes of payload sent, each as often as it was.
    pub bytes_sent: Option<u64>,
    /// Of these, bytes sent again.
    pub bytes_retrans: Option<u64>,
    /// Microseconds in which there was something to send; in which the receiver's window, and the send buffer, limited that.
    pub busy_time: Option<u64>,
    /// See `busy_time`.
    pub rwnd_limited: Option<u64>,
    /// See `busy_time`.
    pub sndbuf_limited: Option<u64>,
}

impl Flow {
    /// Of a message; `None` if it has no `tcp_info`. `is_passive`: the peer began the connection.
    pub fn of(message: Message<'_>, is_passive: bool) -> Option<Self> {
        let info = TcpInfo::decode(message.attribute(attribute::INET_DIAG_INFO)?.payload);
        let sent_once = info.bytes_sent().zip(info.bytes_retrans()).map(|(all, again)| all.saturating_sub(again));
        let (received, in_doubt) = received(message.header().state(), &info, sent_once, is_passive).unzip();
        Some(Self {
            sent: sent_once.or_else(|| info.bytes_acked().map(|acked| acked.saturating_sub(syn(is_passive)))),
            received,
            in_doubt: in_doubt.unwrap_or(0),
            min_rtt: info.min_rtt().filter(|&rtt| rtt != u32::MAX),
            bytes_sent: info.bytes_sent(),
            bytes_retrans: info.bytes_retrans(),
            busy_time: info.busy_time(),
            rwnd_limited: info.rwnd_limited(),
            sndbuf_limited: info.sndbuf_limited(),
        })
    }
}

/// What `bytes_acked` has of the SYN: it counts as a byte where it was sent to begin the connection.
fn syn(is_passive: bool) -> u64 {
    u64::from(!is_passive)
}

/// `bytes_received` without the FIN, which the kernel counts as a byte; and whether another byte may be payload or FIN.
///
/// While a socket is there its FIN may come between the moment at which its state is read and that at which its counters
/// are. When it is destroyed it does not say whether it had one. Where its own FIN was acknowledged, the connection ended
/// in order, and the peer sent one, too, as a rule. It is not counted where it came to what the kernel keeps of a socket
/// that its program has closed (FIN_WAIT2), and that cannot be told from here: then a byte is missing.
fn received(state: Option<TcpState>, info: &TcpInfo, sent_once: Option<u64>, is_passive: bool) -> Option<(u64, u64)> {
    let counted = info.bytes_received()?;
    if info.data_segs_in() == Some(0) {
        return Some((0, 0));
    }
    let without_fin = counted.saturating_sub(1);
    Some(match state {
        Some(TcpState::CloseWait | TcpState::Closing | TcpState::LastAck | TcpState::TimeWait) => (without_fin, 0),
        Some(TcpState::Close) if has_fin_acked(info, sent_once, is_passive) => (without_fin, 0),
        Some(TcpState::Close) => (counted, 0),
        _ => (without_fin, counted - without_fin),
    })
}

/// Whether this side's FIN was acknowledged. SYN and FIN count as a segment each in `delivered`, if they had one of their
/// own and nothing was sent twice; and as a byte each in `bytes_acked`, the SYN where it began the connection.
fn has_fin_acked(info: &TcpInfo, sent_once: Option<u64>, is_passive: bool) -> bool {
    let segments = info.delivered().zip(info.data_segs_out()).filter(|_| info.total_retrans() == Some(0));
    segments.is_some_and(|(delivered, data)| delivered >= data.saturating_add(2))
        || info.bytes_acked().zip(sent_once).is_some_and(|(acked, sent)| acked > sent.saturating_add(syn(is_passive)))
}
