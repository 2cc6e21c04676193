/* Maps, and what all hooks do alike: look at a socket, and keep maxima, minima and changes. */
#pragma once

#include "state.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct estats);
} storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} finals SEC(".maps");

/* Finals that found the ring full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

#define CALLBACK_FLAGS                                                                                                 \
	(BPF_SOCK_OPS_RTT_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG |                          \
	 BPF_SOCK_OPS_STATE_CB_FLAG)

/* Sequence numbers go round. */
#define before(a, b) ((__s32)((a) - (b)) < 0)
#define after(a, b) before(b, a)

inline_fn struct config *configuration(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&config, &zero);
}

inline_fn void at_least(__u32 *maximum, __u32 value)
{
	if (value > *maximum)
		*maximum = value;
}

inline_fn void at_most(__u32 *minimum, __u32 value)
{
	if (value < *minimum || !*minimum)
		*minimum = value;
}

/* Segments in octets: a Gauge32 stays at its end. */
inline_fn __u32 octets(__u64 segments, __u32 mss)
{
	__u64 product = segments * mss;
	return product > 0xffffffff ? 0xffffffff : product;
}

/* A retransmission timeout as the kernel has it now: before an RTT sample changes it, and before it is doubled. */
inline_fn void rto_seen(struct estats *v, struct tcp_sock *tp)
{
	struct config *c = configuration();

	if (c) {
		__u32 rto = (__u64)tp->inet_conn.icsk_rto * c->jiffy / 1000;

		at_least(&v->max_rto, rto);
		at_most(&v->min_rto, rto);
	}
}

inline_fn __u32 in_flight(struct tcp_sock *tp)
{
	return tp->packets_out - tp->sacked_out - tp->lost_out + tp->retrans_out;
}

inline_fn __u32 ca_state(struct tcp_sock *tp)
{
	return READ_BITS(tp, inet_conn.icsk_ca_state);
}

/* The congestion window grew or shrank between two looks, and no congestion signal was between them. */
inline_fn void window_changed(struct estats *v, __u32 cwnd, __u32 ssthresh, __u32 state)
{
	__u32 last = v->last_cwnd;

	v->last_cwnd = cwnd;
	if (state == TCP_CA_CWR || state == TCP_CA_Recovery)
		return;
	if (cwnd > last) {
		if (last < ssthresh)
			v->slow_start++;
		else
			v->cong_avoid++;
	} else if (cwnd < last) {
		v->other_reductions++;
	}
}

/* A reduction was taken back (tcp_undo_cwnd_reduction): the kernel has cleared its marker. */
inline_fn void undone(struct estats *v, struct tcp_sock *tp)
{
	if (!v->undo_of || tp->undo_marker)
		return;
	v->cong_over_count++;
	if (v->undo_of == TCP_CA_Recovery)
		v->spurious_fr_detected++;
	else
		v->spurious_rto_detected++;
	v->undo_of = 0;
	v->last_cwnd = tp->snd_cwnd;
}

/* The congestion state becomes `state`. Called before it changes where that is traced, else as soon as it is noticed. */
inline_fn void congestion(struct estats *v, struct tcp_sock *tp, __u32 state)
{
	__u32 old = v->last_ca_state, cwnd = octets(tp->snd_cwnd, tp->mss_cache);
	/* The path MTU shrank, and what is too large is sent again in state Loss (tcp_simple_retransmit): no timer has
	 * expired, and the window stays as it is.
	 */
	bool resized = state == TCP_CA_Loss && !tp->undo_marker && !v->rto_cwnd;
	bool signal = state >= TCP_CA_CWR && old < TCP_CA_CWR && !resized;

	v->last_ca_state = state;
	/* Both this and tcp_enter_cwr clear the marker, too, and take nothing back. */
	if (state == TCP_CA_CWR || resized)
		v->undo_of = 0;
	undone(v, tp);
	if (state == TCP_CA_Recovery && old != TCP_CA_Recovery) {
		v->fast_retran++;
		v->undo_of = TCP_CA_Recovery;
	}
	if (state == TCP_CA_Loss && !resized && (old != TCP_CA_Loss || !tp->inet_conn.icsk_retransmits)) {
		/* cwnd is 1 already. */
		cwnd = v->rto_cwnd ?: octets(tp->prior_cwnd, tp->mss_cache);
		signal = 1;
		v->loss_entries++;
		v->undo_of = tp->undo_marker ? TCP_CA_Loss : 0;
	}
	if (state == TCP_CA_Loss)
		v->rto_cwnd = 0;
	if (signal) {
		v->cong_signals++;
		v->pre_cong_sum_cwnd += cwnd;
		v->pre_cong_sum_rtt += v->sample_rtt;
		v->flags |= AFTER_SIGNAL;
		/* Neither an ECN echo nor a lost tail: what is left is a device queue without room. */
		if (state == TCP_CA_CWR && !(tp->ecn_flags & TCP_ECN_OK) && !v->last_tlp_high_seq)
			v->send_stall++;
	}

	if (state == TCP_CA_Disorder && old == TCP_CA_Open) {
		v->flags |= IN_EPISODE;
		v->episode_snd_una = tp->snd_una;
		v->episode_dup_acks = v->dup_acks_in - (v->in_bits & SEGMENT_DUPLICATE);
	} else if (state != TCP_CA_Disorder && v->flags & IN_EPISODE) {
		v->flags &= ~IN_EPISODE;
		if (state == TCP_CA_Open) {
			__u32 from = v->in_bits & SEGMENT_SEEN ? v->in_ack_before : v->episode_snd_una;

			v->non_recov_da_episodes++;
			v->non_recov_da += v->dup_acks_in - v->episode_dup_acks;
			v->sum_octets_reordered += tp->snd_una - from;
		}
	}
	v->last_cwnd = tp->snd_cwnd;
	/* A reduction ends at the threshold, right after this (tcp_end_cwnd_reduction): that is no other one. */
	if (state == TCP_CA_Open && (old == TCP_CA_CWR || (old == TCP_CA_Recovery && tp->undo_marker)) &&
	    tp->snd_ssthresh < v->last_cwnd)
		v->last_cwnd = tp->snd_ssthresh;
}

/* What stops the sender now (tcp_chrono_start), and which stops came and went since the last look. */
inline_fn void limits(struct estats *v, struct tcp_sock *tp)
{
	__u32 limit = READ_BITS(tp, chrono_type), rwnd_limited = tp->chrono_stat[TCP_CHRONO_RWND_LIMITED - 1];

	if (limit == TCP_CHRONO_SNDBUF_LIMITED)
		limit = TCP_CHRONO_UNSPEC;
	/* The time grew, and neither look met the state. */
	if (rwnd_limited != v->last_rwnd_limited && limit != TCP_CHRONO_RWND_LIMITED &&
	    v->last_limit != TCP_CHRONO_RWND_LIMITED)
		v->snd_lim_trans_rwin++;
	v->last_rwnd_limited = rwnd_limited;
	if (limit == v->last_limit)
		return;
	v->last_limit = limit;
	if (limit == TCP_CHRONO_RWND_LIMITED)
		v->snd_lim_trans_rwin++;
	else if (limit == TCP_CHRONO_BUSY)
		v->snd_lim_trans_cwnd++;
	else
		v->snd_lim_trans_snd++;
}

/* A segment has come or gone. */
inline_fn void active(struct estats *v, struct tcp_sock *tp)
{
	if (tp->tcp_mstamp > v->mstamp)
		v->mstamp = tp->tcp_mstamp;
}

/* Looks at a socket whose connection is, or was, established. */
inline_fn void observe(struct estats *v, struct tcp_sock *tp)
{
	__u32 state = ca_state(tp), mss = tp->mss_cache, cwnd = tp->snd_cwnd, ssthresh = tp->snd_ssthresh;
	__u32 una = tp->snd_una, nxt = tp->snd_nxt, bytes = octets(cwnd, mss), flight = in_flight(tp);

	undone(v, tp);
	if (state != v->last_ca_state)
		congestion(v, tp, state);
	else if (cwnd != v->last_cwnd)
		window_changed(v, cwnd, ssthresh, state);
	limits(v, tp);

	if (ssthresh < TCP_INFINITE_SSTHRESH) {
		at_least(&v->max_ssthresh, octets(ssthresh, mss));
		at_most(&v->min_ssthresh, octets(ssthresh, mss));
	}
	at_least(cwnd < ssthresh ? &v->max_ss_cwnd : &v->max_ca_cwnd, bytes);
	at_least(&v->max_mss, mss);
	at_most(&v->min_mss, mss);
	rto_seen(v, tp);

	/* A callback comes when an acknowledgement has taken its segments away. While nothing is amiss, it is told of
	 * each one, so what was outstanding before it began at the snd_una of the last look; and the kernel keeps the
	 * most segments of this flight itself.
	 */
	if (state == TCP_CA_Open && !tp->sacked_out && !tp->lost_out)
		at_least(&flight, tp->max_packets_out);
	at_least(&v->max_pipe_size, octets(flight, mss));
	at_least(&v->max_retx_queue, nxt - (state == TCP_CA_Open ? v->last_snd_una : una));
	v->last_snd_una = una;
	if (after(tp->write_seq, nxt))
		at_least(&v->max_app_wqueue, tp->write_seq - nxt);
	at_least(&v->max_app_rqueue, tp->rcv_nxt - tp->copied_seq);
	at_least(&v->max_rwin_sent, tp->rcv_wnd);
	v->max_rwin_rcvd = tp->max_window;
	if (READ_BITS(tp, nonagle) & TCP_NAGLE_OFF)
		v->flags |= NODELAY;
	else
		v->flags &= ~NODELAY;
}

/* A value as new. */
inline_fn void begin(struct estats *v, struct tcp_sock *tp, __u32 flags)
{
	struct net *net = tp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net;
	__u64 now = bpf_ktime_get_ns();
	struct config *c = configuration();

	__builtin_memset(v, 0, sizeof(*v));
	v->version = VERSION;
	v->size = sizeof(*v);
	v->flags = flags;
	v->start = now;
	v->start_monotonic = now / 1000;
	v->mstamp = v->start_monotonic;
	if (c) {
		v->start += c->realtime;
		v->flags |= c->flags;
	}
	v->sysctls = READ_BITS(net, ipv4.sysctl_tcp_timestamps) & 0xff;
	v->sysctls |= (READ_BITS(net, ipv4.sysctl_tcp_sack) & 0xff) << 8;
	v->sysctls |= (READ_BITS(net, ipv4.sysctl_tcp_window_scaling) & 0xff) << 16;
	v->sysctls |= (READ_BITS(net, ipv4.sysctl_tcp_ecn) & 0xff) << 24;
	v->last_ca_state = ca_state(tp);
	v->last_cwnd = tp->snd_cwnd;
	v->last_snd_una = tp->snd_una;
}

/* The connection is established, or was when it was first seen. */
inline_fn void established(struct estats *v, struct tcp_sock *tp)
{
	v->flags |= ESTABLISHED;
	if (v->flags & ACTIVE)
		v->handshake = bpf_ktime_get_ns() / 1000 - v->start_monotonic;
	v->snd_base = tp->snd_una - (__u32)tp->bytes_acked;
	v->rcv_base = tp->rcv_nxt - (__u32)tp->bytes_received;
	v->mss_rcvd = tp->rx_opt.mss_clamp;
	v->last_cwnd = tp->snd_cwnd;
	v->last_snd_una = tp->snd_una;
	v->last_limit = READ_BITS(tp, chrono_type) == TCP_CHRONO_RWND_LIMITED ? TCP_CHRONO_RWND_LIMITED : TCP_CHRONO_UNSPEC;
	v->last_rwnd_limited = tp->chrono_stat[TCP_CHRONO_RWND_LIMITED - 1];
}
