/* The value that each socket carries (BPF_MAP_TYPE_SK_STORAGE), written by all programs, read in polls and at close.
 *
 * Archives keep it as it is, so the layout is a contract: fields are only ever added at the end, `size` says how many
 * bytes the writer knew, and VERSION changes only if a field changes its meaning. Only u64 and u32, no padding, in the
 * byte order of the host. src/layout.rs has the same list; a test compares the two.
 *
 * Times are microseconds and sizes octets unless said. A minimum or maximum of 0 was never seen.
 */
#pragma once

#include "kernel.h"

/* RFC 4898, first layout. */
#define VERSION 0x48980001

enum {
	/* The socket was open before: counts are from `start` on. */
	PARTIAL = 1,
	/* Segments were looked at (cgroup_skb) from `start` on: what only they tell is counted. */
	FULL = 2,
	/* Each change of the congestion state was seen (tp_btf), not only those that a callback met. */
	TRACED = 4,
	/* connect(2), or accept(2); neither where that was before, and both of a simultaneous open. */
	ACTIVE = 8,
	PASSIVE = 16,
	/* Nagle's algorithm is off. */
	NODELAY = 32,
	/* The connection was established. */
	ESTABLISHED = 64,
	/* The last value: the socket is closed. */
	CLOSED = 128,
	/* The next RTT sample is the first after a congestion signal. */
	AFTER_SIGNAL = 256,
	/* A run of duplicate ACKs goes on, which may end without a retransmission. */
	IN_EPISODE = 512,
	/* Callbacks cannot be switched on, or none has come yet of a socket that may be in none of our cgroups: nothing is
	 * counted but what other hooks see. */
	SILENT = 1024,
};

struct estats {
	__u32 version;
	__u32 size;
	/* When this value was made: nanoseconds since 1970; the kernel's monotonic clock; and that of the last segment. */
	__u64 start;
	__u64 start_monotonic;
	__u64 mstamp;
	__u64 sum_rtt;
	__u64 pre_cong_sum_cwnd;
	__u64 pre_cong_sum_rtt;
	__u64 post_cong_sum_rtt;
	__u64 sum_octets_reordered;
	__u64 data_octets_in;
	__u32 flags;
	/* sysctls of the namespace at `start`, a byte each: tcp_timestamps, tcp_sack, tcp_window_scaling, tcp_ecn. */
	__u32 sysctls;
	/* snd_una less bytes_acked, rcv_nxt less bytes_received: both stay the same while the connection lives. */
	__u32 snd_base;
	__u32 rcv_base;
	__u32 mss_rcvd;

	__u32 count_rtt;
	__u32 sample_rtt;
	__u32 max_rtt;
	__u32 min_rtt;
	__u32 max_rto;
	__u32 min_rto;
	__u32 timeouts;
	__u32 subsequent_timeouts;
	__u32 abrupt_timeouts;

	__u32 cong_signals;
	__u32 fast_retran;
	__u32 send_stall;
	__u32 post_cong_count_rtt;
	__u32 cong_over_count;
	__u32 spurious_fr_detected;
	__u32 spurious_rto_detected;
	__u32 non_recov_da_episodes;
	__u32 non_recov_da;
	__u32 slow_start;
	__u32 cong_avoid;
	__u32 other_reductions;
	__u32 max_ss_cwnd;
	__u32 max_ca_cwnd;
	__u32 max_ssthresh;
	__u32 min_ssthresh;

	__u32 max_mss;
	__u32 min_mss;
	__u32 max_pipe_size;
	__u32 max_retx_queue;
	__u32 max_app_wqueue;
	__u32 max_app_rqueue;
	__u32 max_rwin_sent;
	__u32 max_rwin_rcvd;
	__u32 snd_lim_trans_rwin;
	__u32 snd_lim_trans_cwnd;
	__u32 snd_lim_trans_snd;

	/* From segments: only with FULL. */
	__u32 cur_reasm_queue;
	__u32 max_reasm_queue;
	__u32 zero_rwin_sent;
	__u32 zero_rwin_rcvd;
	__u32 ip_ttl;
	__u32 ip_tos_in;
	__u32 ip_tos_out;
	__u32 ecn_signals;
	__u32 ce_rcvd;
	__u32 ece_sent;
	__u32 dup_acks_in;
	__u32 dup_acks_out;
	__u32 dup_ack_episodes;
	__u32 soft_errors;
	__u32 soft_error_reason;
	__u32 sacks_rcvd;
	__u32 sack_blocks_rcvd;

	/* What the programs remember from one call to the next. */
	__u32 last_ca_state;
	__u32 last_cwnd;
	__u32 last_snd_una;
	__u32 last_limit;
	__u32 last_rwnd_limited;
	__u32 last_tlp_high_seq;
	/* cwnd when the retransmission timer expired, in octets. */
	__u32 rto_cwnd;
	/* What an undo would take back: TCP_CA_Recovery, TCP_CA_Loss, or nothing. */
	__u32 undo_of;
	/* The run of duplicate ACKs: where snd_una was when it began, and how many there were before it. */
	__u32 episode_snd_una;
	__u32 episode_dup_acks;
	/* Segments in: the highest acknowledgement, and the one before the last segment; its window as it is in the header, and
	 * bits (SEGMENT_*). The socket itself may be behind: while its owner has it, segments wait in its backlog.
	 */
	__u32 in_ack;
	__u32 in_ack_before;
	__u32 in_window;
	__u32 in_bits;
	/* Segments out: the same of the last one, and where the data sent ends. */
	__u32 out_end;
	__u32 out_ack;
	__u32 out_window;
	__u32 out_bits;

	/* Entries into Loss. */
	__u32 loss_entries;
	/* From connect(2) to the end of the handshake. */
	__u32 handshake;
};

enum { SEGMENT_DUPLICATE = 1, SEGMENT_ECE = 2, SEGMENT_SEEN = 4 };

/* A record of the ring: the last value of a socket. */
struct final {
	__u64 cookie;
	/* Nanoseconds since 1970. */
	__u64 time;
	struct estats value;
};

/* What the loader tells the programs. */
struct config {
	/* Nanoseconds since 1970 less the kernel's monotonic clock. */
	__u64 realtime;
	/* Nanoseconds of a jiffy. */
	__u64 jiffy;
	/* FULL and TRACED, where those hooks are active. */
	__u64 flags;
	/* Not 0: callbacks and segments are those of some cgroups only. */
	__u64 in_part;
};
