/* tp_btf/tcp_cong_state_set (since Linux 5.19): each change of the congestion state, before it takes place. Callbacks
 * come at RTT samples and meet only the states that last until one.
 */
#include "common.h"

SEC("tp_btf/tcp_cong_state_set")
int congestion_state(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct estats *v;

	if (!tp)
		return 0;
	v = bpf_sk_storage_get(&storage, tp, 0, 0);
	if (v)
		congestion(v, tp, (__u8)ctx[1]);
	return 0;
}
