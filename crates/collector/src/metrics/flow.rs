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

/// What is known of a connection beside what its message says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The peer began it.
    pub is_passive: bool,
    /// The peer has ended its side: what is received does not grow any more.
    pub has_fin: bool,
}

impl Flow {
    /// Of a message; `None` if it has no `tcp_info`.
    pub fn of(message: Message<'_>, known: Known) -> Option<Self> {
        let info = TcpInfo::decode(message.attribute(attribute::INET_DIAG_INFO)?.payload);
        let state = message.header().state();
        let in_flight =
            u64::from(message.header().idiag_wqueue.get()).saturating_sub(info.notsent_bytes().unwrap_or(0).into());
        let sent_once = info.bytes_sent().zip(info.bytes_retrans()).map(|(all, again)| all.saturating_sub(again));
        let bytes = Bytes { info: &info, state, sent_once, in_flight, known };
        let (received, in_doubt) = bytes.received().unzip();
        Some(Self {
            sent: bytes.sent(),
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

    /// Bytes received, those that may be a FIN included.
    pub fn all_received(&self) -> Option<u64> {
        self.received.map(|bytes| bytes + self.in_doubt)
    }

    /// Whether its counters are smaller than those of a flow before: they are of another connection, or of none.
    pub fn is_behind(&self, before: &Self) -> bool {
        let fell = |now: Option<u64>, before: Option<u64>| now.zip(before).is_some_and(|(now, before)| now < before);
        fell(self.bytes_sent, before.bytes_sent) || (self.bytes_sent.is_none() && fell(self.sent, before.sent))
    }
}

/// Whether the peer has ended its side, by the state of a socket.
pub(super) fn is_ended_by_peer(state: Option<TcpState>) -> bool {
    matches!(state, Some(TcpState::CloseWait | TcpState::Closing | TcpState::LastAck | TcpState::TimeWait))
}

/// What payload is told from.
struct Bytes<'a> {
    info: &'a TcpInfo,
    state: Option<TcpState>,
    /// `bytes_sent` less `bytes_retrans`. Data that this host itself drops, by a firewall or a full queue, counts in the
    /// first as often as it is tried, and not in the second: then it is too much.
    sent_once: Option<u64>,
    /// Sent, and not acknowledged.
    in_flight: u64,
    known: Known,
}

impl Bytes<'_> {
    /// What `bytes_acked` has of the SYN: it counts as a byte where it was sent to begin the connection.
    fn syn(&self) -> u64 {
        u64::from(!self.known.is_passive)
    }

    /// All that was sent by what is acknowledged and in flight, SYN and FIN included, if `sent_once` is more than that.
    fn sent_at_most(&self) -> Option<u64> {
        let most = self.info.bytes_acked()?.saturating_add(self.in_flight);
        self.sent_once.is_some_and(|once| once > most).then_some(most)
    }

    /// Payload sent, each byte once.
    fn sent(&self) -> Option<u64> {
        if let Some(most) = self.sent_at_most() {
            // The last one is the FIN, or may be, as far as the state tells.
            return Some(most.saturating_sub(self.syn() + 1));
        }
        self.sent_once.or_else(|| self.info.bytes_acked().map(|acked| acked.saturating_sub(self.syn())))
    }

    /// `bytes_received` without the FIN, which the kernel counts as a byte; and whether another byte may be payload or FIN.
    ///
    /// While a socket is there its FIN may come between the moment at which its state is read and that at which its
    /// counters are. When it is destroyed it does not say whether it had one, and no poll may have seen it. Where its own
    /// FIN was acknowledged, the connection ended in order, and the peer sent one, too, as a rule. docs/metrics.md has the
    /// exceptions.
    fn received(&self) -> Option<(u64, u64)> {
        let counted = self.info.bytes_received()?;
        if self.info.data_segs_in() == Some(0) {
            return Some((0, 0));
        }
        let without_fin = counted.saturating_sub(1);
        Some(match self.state {
            state if self.known.has_fin || is_ended_by_peer(state) => (without_fin, 0),
            Some(TcpState::Close) if self.has_fin_acked() => (without_fin, 0),
            Some(TcpState::Close) => (counted, 0),
            _ => (without_fin, counted - without_fin),
        })
    }

    /// Whether this side's FIN was acknowledged. SYN and FIN count as a segment each in `delivered`, if they had one of
    /// their own and nothing was sent twice; and as a byte each in `bytes_acked`.
    fn has_fin_acked(&self) -> bool {
        let segments = self.info.delivered().zip(self.info.data_segs_out());
        if self.info.total_retrans() == Some(0)
            && segments.is_some_and(|(delivered, data)| delivered > data.saturating_add(1))
        {
            return true;
        }
        if self.sent_at_most().is_some() {
            return self.in_flight == 0;
        }
        let acked = self.info.bytes_acked().zip(self.sent_once);
        acked.is_some_and(|(acked, sent)| acked > sent.saturating_add(self.syn()))
    }
}
