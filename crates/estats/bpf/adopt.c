/* iter/tcp: sockets that were open before. Each gets a value, and its callbacks are switched on (TCP_BPF_SOCK_OPS_CB_FLAGS,
 * since Linux 6.12; before, it stays with what other hooks see). One byte of output is one socket.
 */
#include "common.h"

SEC("iter/tcp")
int adopt(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct config *c = configuration();
	struct tcp_sock *tp;
	struct estats *v;
	__u8 state, one = 1;
	int flags;

	if (!skc)
		return 0;
	state = skc->skc_state;
	if (state == TCP_LISTEN || state == TCP_CLOSE || state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV ||
	    state == TCP_SYN_RECV)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp || bpf_sk_storage_get(&storage, tp, 0, 0))
		return 0;
	v = bpf_sk_storage_get(&storage, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!v)
		return 0;
	begin(v, tp, PARTIAL);
	if (state != TCP_SYN_SENT)
		established(v, tp);
	/* The first callback and the first segment tell whether this one is in a cgroup of ours. */
	if (c && c->in_part) {
		v->flags |= SILENT;
		v->flags &= ~FULL;
	}
	flags = tp->bpf_sock_ops_cb_flags | CALLBACK_FLAGS;
	if (bpf_setsockopt(tp, SOL_TCP, TCP_BPF_SOCK_OPS_CB_FLAGS, &flags, sizeof(flags)))
		v->flags |= SILENT;
	bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
	return 0;
}
