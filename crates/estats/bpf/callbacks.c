/* sock_ops: the core. The kernel calls it as connections are made, for each RTT sample, timeout and retransmission,
 * and when the state changes; with the socket locked.
 */
#include "common.h"

inline_fn void rtt_sample(struct estats *v, struct tcp_sock *tp, __u32 rtt)
{
	/* Linux 6.10 and later tell the sample; before, it is where RACK keeps it. */
	if (!rtt)
		rtt = tp->rack.rtt_us;
	v->count_rtt++;
	v->sum_rtt += rtt;
	v->sample_rtt = rtt;
	at_least(&v->max_rtt, rtt);
	at_most(&v->min_rtt, rtt);
	if (v->flags & AFTER_SIGNAL) {
		v->flags &= ~AFTER_SIGNAL;
		v->post_cong_sum_rtt += rtt;
		v->post_cong_count_rtt++;
	}
	v->last_tlp_high_seq = tp->tlp_high_seq;
}

inline_fn void timeout(struct estats *v, struct tcp_sock *tp)
{
	if (tp->inet_conn.icsk_backoff)
		v->subsequent_timeouts++;
	else
		v->timeouts++;
	if (ca_state(tp) == TCP_CA_Open && !tp->sacked_out)
		v->abrupt_timeouts++;
	rto_seen(v, tp);
	v->rto_cwnd = octets(tp->snd_cwnd, tp->mss_cache);
}

/* Callbacks come, so all since the start have come. */
inline_fn void heard(struct estats *v)
{
	struct config *c = configuration();

	if (c && c->in_part)
		v->flags &= ~SILENT;
}

inline_fn void close(struct bpf_sock_ops *ctx, struct estats *v)
{
	struct config *c = configuration();
	struct final *final;
	__u32 zero = 0;

	v->flags |= CLOSED;
	final = bpf_ringbuf_reserve(&finals, sizeof(*final), 0);
	if (!final) {
		__u64 *count = bpf_map_lookup_elem(&lost, &zero);

		if (count)
			(*count)++;
		return;
	}
	final->cookie = bpf_get_socket_cookie(ctx);
	final->time = bpf_ktime_get_ns() + (c ? c->realtime : 0);
	final->value = *v;
	/* Whoever drains the ring comes by itself: to wake it for each socket costs more than all else here. */
	bpf_ringbuf_submit(final, BPF_RB_NO_WAKEUP);
}

SEC("sockops")
int callbacks(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tp;
	struct estats *v;
	__u32 op = ctx->op;
	bool given_up, first = op == BPF_SOCK_OPS_TCP_CONNECT_CB || op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB;

	switch (op) {
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] == TCP_CLOSE)
			break;
		return 1;
	case BPF_SOCK_OPS_RTT_CB:
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_RTO_CB:
	case BPF_SOCK_OPS_RETRANS_CB:
		break;
	default:
		return 1;
	}
	if (!sk)
		return 1;
	v = bpf_sk_storage_get(&storage, sk, 0, first ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!v)
		return 1;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 1;

	if (unlikely(v->flags & SILENT))
		heard(v);
	switch (op) {
	case BPF_SOCK_OPS_RTT_CB:
		rtt_sample(v, tp, ctx->args[0]);
		break;
	case BPF_SOCK_OPS_RTO_CB:
		timeout(v, tp);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		/* The kernel notes a probe behind this, and forgets it before it acts on its acknowledgement. */
		if (tp->inet_conn.icsk_pending == ICSK_TIME_LOSS_PROBE)
			v->last_tlp_high_seq = 1;
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		/* Both sides have called connect(2): the kernel ends such a handshake as if it were passive. */
		if ((v->flags & (ACTIVE | ESTABLISHED | CLOSED)) == ACTIVE) {
			v->flags |= PASSIVE;
			break;
		}
		/* fall through */
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		begin(v, tp, op == BPF_SOCK_OPS_TCP_CONNECT_CB ? ACTIVE : PASSIVE);
		/* The sample of SYN-ACK was taken before. */
		if (tp->srtt_us)
			rtt_sample(v, tp, tp->srtt_us >> 3);
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | CALLBACK_FLAGS);
		break;
	}
	if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		established(v, tp);
	if (v->flags & ESTABLISHED)
		observe(v, tp);
	/* A timer is no segment. */
	given_up = op == BPF_SOCK_OPS_STATE_CB && tp->inet_conn.icsk_inet.sk.sk_err == ETIMEDOUT;
	if (op != BPF_SOCK_OPS_RTO_CB && !given_up)
		active(v, tp);
	if (op == BPF_SOCK_OPS_STATE_CB) {
		/* Aborted: what tells the peer follows. */
		if (!given_up && (ctx->args[0] == TCP_ESTABLISHED || ctx->args[0] == TCP_CLOSE_WAIT))
			v->mstamp = bpf_ktime_get_ns() / 1000;
		close(ctx, v);
	}
	return 1;
}
