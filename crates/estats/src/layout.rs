//! The value that the programs keep with each socket: `struct estats` of `bpf/state.h`.

use inetdiag::attribute::INET_DIAG_SK_BPF_STORAGES;
use inetdiag::{Attributes, BpfStorage, Message};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

const SK_DIAG_BPF_STORAGE: u16 = 1;
const SK_DIAG_BPF_STORAGE_MAP_VALUE: u16 = 3;

/// Declares the raw value: the fields, in their order, behind `version` and `size`.
macro_rules! layout {
    (u64 { $( $(#[$wide_meta:meta])* $wide:ident, )* } u32 { $( $(#[$meta:meta])* $field:ident, )* }) => {
        /// `struct estats`, field by field. [`Value`] says what is there; the MIB's variables are made of it by
        /// [`Sample::get`](crate::Sample::get).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct RawValue {
            /// [`VERSION`].
            pub version: u32,
            /// Bytes that the writer knew.
            pub size: u32,
            $( $(#[$wide_meta])* pub $wide: u64, )*
            $( $(#[$meta])* pub $field: u32, )*
        }

        #[cfg(test)]
        const FIELDS: &[(&str, usize)] = &[
            ("version", 4), ("size", 4), $( (stringify!($wide), 8), )* $( (stringify!($field), 4), )*
        ];
    };
}

layout! {
    u64 {
        /// Nanoseconds since 1970 at which counting began: connect(2), or the connection was established by a peer, or it was adopted.
        start,
        /// The same on the kernel's monotonic clock, in microseconds.
        start_monotonic,
        /// `tcp_mstamp` when last looked at: the last segment, on that clock, in microseconds.
        mstamp,
        /// Sum of the round-trip times sampled, in microseconds.
        sum_rtt,
        /// Sum of the congestion windows before congestion signals, in octets.
        pre_cong_sum_cwnd,
        /// Sum of the round-trip times before congestion signals, in microseconds.
        pre_cong_sum_rtt,
        /// Sum of the first round-trip times after congestion signals, in microseconds.
        post_cong_sum_rtt,
        /// Sum of what acknowledgements advanced that ended runs of duplicates without a retransmission, in octets.
        sum_octets_reordered,
        /// Payload received, duplicates included, in octets ([`flags::FULL`]).
        data_octets_in,
    }
    u32 {
        /// Bits of [`flags`].
        flags,
        /// `tcp_timestamps`, `tcp_sack`, `tcp_window_scaling`, `tcp_ecn` of the namespace, a byte each, the first lowest.
        sysctls,
        /// `snd_una` less `bytes_acked`.
        snd_base,
        /// `rcv_nxt` less `bytes_received`.
        rcv_base,
        /// `rx_opt.mss_clamp`, in octets.
        mss_rcvd,
        /// Round-trip times sampled.
        count_rtt,
        /// The last one, in microseconds.
        sample_rtt,
        /// The longest.
        max_rtt,
        /// The shortest.
        min_rtt,
        /// The longest retransmission timeout seen, in microseconds.
        max_rto,
        /// The shortest.
        min_rto,
        /// Timeouts without backoff.
        timeouts,
        /// Timeouts with backoff.
        subsequent_timeouts,
        /// Timeouts without a sign before them.
        abrupt_timeouts,
        /// Congestion signals.
        cong_signals,
        /// Entries into fast recovery.
        fast_retran,
        /// Entries into CWR because a device queue had no room.
        send_stall,
        /// Round-trip times in `post_cong_sum_rtt`.
        post_cong_count_rtt,
        /// Reductions that were taken back.
        cong_over_count,
        /// Those of them that a fast retransmission had caused.
        spurious_fr_detected,
        /// Those of them that a timeout had caused.
        spurious_rto_detected,
        /// Runs of duplicate acknowledgements that ended without a retransmission.
        non_recov_da_episodes,
        /// Duplicate acknowledgements in them ([`flags::FULL`]).
        non_recov_da,
        /// Growths of the congestion window below the slow start threshold.
        slow_start,
        /// Growths of the congestion window above it.
        cong_avoid,
        /// Reductions of the congestion window that no signal caused.
        other_reductions,
        /// The largest congestion window below the slow start threshold, in octets.
        max_ss_cwnd,
        /// The largest above it.
        max_ca_cwnd,
        /// The largest slow start threshold, in octets.
        max_ssthresh,
        /// The smallest.
        min_ssthresh,
        /// The largest segment size, in octets.
        max_mss,
        /// The smallest.
        min_mss,
        /// Most octets in flight.
        max_pipe_size,
        /// Most octets sent and not acknowledged.
        max_retx_queue,
        /// Most octets written and not sent.
        max_app_wqueue,
        /// Most octets received in order and not read.
        max_app_rqueue,
        /// The largest window advertised, in octets.
        max_rwin_sent,
        /// The largest window of the peer, in octets.
        max_rwin_rcvd,
        /// Times the sender was stopped by the peer's window.
        snd_lim_trans_rwin,
        /// Times the sender was stopped by the congestion window.
        snd_lim_trans_cwnd,
        /// Times the sender had nothing to send.
        snd_lim_trans_snd,
        /// Octets spanned by the out-of-order queue ([`flags::FULL`], as all that follow).
        cur_reasm_queue,
        /// The most of it.
        max_reasm_queue,
        /// Windows of zero sent.
        zero_rwin_sent,
        /// Windows of zero received.
        zero_rwin_rcvd,
        /// TTL or hop limit of the last segment received.
        ip_ttl,
        /// TOS or traffic class of the last segment received.
        ip_tos_in,
        /// TOS or traffic class of the last segment sent.
        ip_tos_out,
        /// Segments received with an ECN echo.
        ecn_signals,
        /// Segments received with a CE mark.
        ce_rcvd,
        /// Times the ECN echo was begun.
        ece_sent,
        /// Duplicate acknowledgements received.
        dup_acks_in,
        /// Duplicate acknowledgements sent.
        dup_acks_out,
        /// Runs of them.
        dup_ack_episodes,
        /// Segments outside of windows.
        soft_errors,
        /// Why the last one was, as `tcpEStatsStackSoftErrorReason` numbers it.
        soft_error_reason,
        /// SACK options received.
        sacks_rcvd,
        /// Blocks in them.
        sack_blocks_rcvd,
        /// From here on what the programs remember from call to call; it has no meaning by itself.
        last_ca_state,
        /// Congestion window.
        last_cwnd,
        /// `snd_una`.
        last_snd_una,
        /// `chrono_type`.
        last_limit,
        /// `chrono_stat` of the peer's window.
        last_rwnd_limited,
        /// `tlp_high_seq`.
        last_tlp_high_seq,
        /// Congestion window at the last timeout, in octets.
        rto_cwnd,
        /// Congestion state whose reduction can be taken back.
        undo_of,
        /// `snd_una` when the run of duplicate acknowledgements began.
        episode_snd_una,
        /// `dup_acks_in` before it began.
        episode_dup_acks,
        /// The highest acknowledgement received.
        in_ack,
        /// The same before the last segment received.
        in_ack_before,
        /// Window in the header of that segment.
        in_window,
        /// Whether there was one, and it was a duplicate.
        in_bits,
        /// End of the data sent.
        out_end,
        /// Acknowledgement of the last segment sent.
        out_ack,
        /// Window in its header.
        out_window,
        /// Whether there was one, and it was a duplicate and had an ECN echo.
        out_bits,
        /// Entries into the congestion state Loss.
        loss_entries,
        /// Microseconds from connect(2) to the end of the handshake.
        handshake,
    }
}

/// What [`RawValue::version`] is: RFC 4898, first layout.
pub const VERSION: u32 = 0x4898_0001;

/// Bit of [`RawValue::in_bits`] and [`RawValue::out_bits`]: there was a segment.
pub(crate) const SEGMENT_SEEN: u32 = 4;

/// Bits of [`RawValue::flags`].
pub mod flags {
    /// The socket was open before the programs were there: counts are of what came after.
    pub const PARTIAL: u32 = 1;
    /// Segments were looked at from the beginning.
    pub const FULL: u32 = 2;
    /// Each change of the congestion state was seen.
    pub const TRACED: u32 = 4;
    /// The connection was opened here.
    pub const ACTIVE: u32 = 8;
    /// The connection was opened by the peer; with [`ACTIVE`], by both at once.
    pub const PASSIVE: u32 = 16;
    /// Nagle's algorithm is off.
    pub const NODELAY: u32 = 32;
    /// The connection was established.
    pub const ESTABLISHED: u32 = 64;
    /// The socket is closed: the last value.
    pub const CLOSED: u32 = 128;
    /// The next round-trip time is the first after a congestion signal.
    pub const AFTER_SIGNAL: u32 = 256;
    /// A run of duplicate acknowledgements goes on.
    pub const IN_EPISODE: u32 = 512;
    /// Callbacks could not be switched on: only what segments and the congestion state tell is counted.
    pub const SILENT: u32 = 1024;
}

/// The programs' value of one socket at one moment.
///
/// It is made of the bytes that a poll ([`Value::of_message`]), an archive ([`Value::of_storages`]) or the ring of last
/// values delivers. Bytes that a newer version of the programs added are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// The fields.
    pub raw: RawValue,
}

impl Value {
    /// Bytes of the value as this version writes it.
    pub const SIZE: usize = size_of::<RawValue>();

    /// Decodes a value; `None` if it is none of ours, or shorter than what this version writes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (raw, _) = RawValue::read_from_prefix(bytes).ok()?;
        (raw.version == VERSION && raw.size as usize >= Self::SIZE).then_some(Self { raw })
    }

    /// The value in a message of a poll that asked for it (see [`request`](crate::request)).
    pub fn of_message(message: &Message<'_>) -> Option<Self> {
        Self::find(message.attribute(INET_DIAG_SK_BPF_STORAGES)?.payload)
    }

    /// The value among the storages of an archived record (`Snapshot::sk_bpf_storages`).
    pub fn of_storages(storages: &[BpfStorage]) -> Option<Self> {
        storages.iter().find_map(|storage| Self::decode(&storage.value))
    }

    /// The value in the payload of an `INET_DIAG_SK_BPF_STORAGES` attribute; nothing is allocated.
    pub fn find(payload: &[u8]) -> Option<Self> {
        let nested = |bytes, kind| {
            Attributes::new(bytes, 0).map_while(Result::ok).filter(move |attribute| attribute.kind == kind)
        };
        nested(payload, SK_DIAG_BPF_STORAGE)
            .flat_map(|storage| nested(storage.payload, SK_DIAG_BPF_STORAGE_MAP_VALUE))
            .find_map(|value| Self::decode(value.payload))
    }

    /// The bytes, as archives keep them.
    pub fn as_bytes(&self) -> &[u8] {
        self.raw.as_bytes()
    }

    /// Whether all of these [`flags`] are set.
    pub fn has(&self, flags: u32) -> bool {
        self.raw.flags & flags == flags
    }
}

/// A value in which nothing was counted.
impl Default for Value {
    fn default() -> Self {
        Self { raw: RawValue { version: VERSION, size: Self::SIZE as u32, ..RawValue::new_zeroed() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(name, bytes)` of each field of a struct in a C header.
    fn fields_of<'a>(header: &'a str, name: &str) -> Vec<(&'a str, usize)> {
        let start = format!("struct {name} {{\n");
        let (_, rest) = header.split_once(start.as_str()).expect("the struct is there");
        let (body, _) = rest.split_once("\n};").expect("it ends");
        let field = |line: &'a str| {
            let (kind, name) = line.trim().strip_suffix(';')?.split_once(' ')?;
            Some((name, if kind == "__u64" { 8 } else { 4 }))
        };
        body.lines().filter_map(field).collect()
    }

    #[test]
    fn the_layout_is_that_of_the_programs() {
        assert_eq!(fields_of(include_str!("../bpf/state.h"), "estats"), FIELDS);
        assert_eq!(FIELDS.iter().map(|(_, size)| size).sum::<usize>(), Value::SIZE, "no padding");
    }

    #[test]
    fn the_version_and_the_flags_are_those_of_the_programs() {
        let header = include_str!("../bpf/state.h");
        assert!(header.contains(&format!("#define VERSION {VERSION:#x}\n")));
        for (name, value) in [
            ("PARTIAL", flags::PARTIAL),
            ("FULL", flags::FULL),
            ("TRACED", flags::TRACED),
            ("ACTIVE", flags::ACTIVE),
            ("PASSIVE", flags::PASSIVE),
            ("NODELAY", flags::NODELAY),
            ("ESTABLISHED", flags::ESTABLISHED),
            ("CLOSED", flags::CLOSED),
            ("AFTER_SIGNAL", flags::AFTER_SIGNAL),
            ("IN_EPISODE", flags::IN_EPISODE),
            ("SILENT", flags::SILENT),
        ] {
            assert!(header.contains(&format!("\t{name} = {value},\n")), "{name}");
        }
    }

    #[test]
    fn what_a_newer_version_added_is_passed_over() {
        let value = Value::default();
        let longer = [value.as_bytes(), &[7; 24]].concat();
        assert_eq!(Value::decode(&longer), Some(value));
        let mut newer = longer.clone();
        newer[4..8].copy_from_slice(&(longer.len() as u32).to_ne_bytes());
        assert_eq!(Value::decode(&newer).expect("is read").raw.count_rtt, 0);
    }

    #[test]
    fn what_is_not_ours_or_is_cut_is_no_value() {
        let value = Value::default();
        let bytes = value.as_bytes();
        for len in 0..bytes.len() {
            assert_eq!(Value::decode(&bytes[..len]), None);
        }
        let mut foreign = bytes.to_vec();
        foreign[3] ^= 1;
        assert_eq!(Value::decode(&foreign), None);
    }
}
