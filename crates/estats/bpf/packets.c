/* cgroup_skb, where asked for: each segment of a socket, coming in before TCP sees it, going out after TCP made it.
 * It tells what the socket does not keep: windows of zero, duplicate acknowledgements, SACK blocks, IP headers.
 */
#include "common.h"

/* Segments of one connection may come in on two processors at once, while a third has the socket locked: they change nothing
 * that callbacks change. Those going out, as all else, are made by whoever has it locked, and look at the socket, too.
 */
#define add(counter, number) __sync_fetch_and_add(&(counter), number)

struct segment {
	__u32 seq;
	__u32 ack;
	__u32 window;
	__u32 payload;
	__u32 ttl;
	__u32 tos;
	/* Where the TCP header begins, and its length. */
	__u32 at;
	__u32 header;
	/* CWR ECE URG ACK PSH RST SYN FIN */
	__u32 flags;
};

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16, ECE = 64 };
enum { CE = 3 };

#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)

/* The fields of the fixed part of a TCP header. */
struct tcp_header {
	__u32 ports;
	__u32 seq;
	__u32 ack_seq;
	__u8 doff;
	__u8 flags;
	__u16 window;
};

inline_fn bool parse_tcp(struct __sk_buff *skb, struct segment *s)
{
	struct tcp_header tcp;

	if (bpf_skb_load_bytes(skb, s->at, &tcp, sizeof(tcp)))
		return 0;
	s->seq = swap32(tcp.seq);
	s->ack = swap32(tcp.ack_seq);
	s->header = (tcp.doff >> 4) * 4;
	s->flags = tcp.flags;
	s->window = swap16(tcp.window);
	if (s->header < 20 || skb->len < s->at + s->header)
		return 0;
	s->payload = skb->len - s->at - s->header;
	return 1;
}

inline_fn bool parse(struct __sk_buff *skb, struct segment *s)
{
	__u8 ip[12], next;

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	if (ip[0] >> 4 == 4) {
		s->tos = ip[1];
		s->ttl = ip[8];
		s->at = (ip[0] & 15) * 4;
		return ip[9] == IPPROTO_TCP && parse_tcp(skb, s);
	}
	s->tos = (ip[0] & 15) << 4 | ip[1] >> 4;
	s->ttl = ip[7];
	s->at = 40;
	next = ip[6];
	/* Extension headers: hop by hop, routing, destination options. */
	for (int i = 0; i < 4 && next != IPPROTO_TCP; i++) {
		__u8 extension[2];

		if ((next != 0 && next != 43 && next != 60) || bpf_skb_load_bytes(skb, s->at, extension, 2))
			return 0;
		next = extension[0];
		s->at += (extension[1] + 1) * 8;
	}
	return next == IPPROTO_TCP && parse_tcp(skb, s);
}

/* The same acknowledgement once more, which is no answer to anything else (RFC 5681): no data, the same window. */
inline_fn bool is_duplicate(struct segment *s, __u32 ack, __u32 window)
{
	return s->ack == ack && s->window == window && !s->payload && (s->flags & (SYN | FIN | RST | ACK)) == ACK;
}

/* Two bytes of padding, and a timestamp of ten: what nearly all segments carry, and nothing else. */
#define ONLY_TIMESTAMP 0x0a080101

/* SACK blocks are counted; returns the timestamp, 0 if there is none. Each option is fetched by itself: an index into a
 * copy of all would be more than the verifier can follow.
 */
inline_fn __u32 options(struct __sk_buff *skb, struct estats *v, struct segment *s)
{
	__u32 at = s->at + 20, stop = s->at + s->header, first[2], timestamp = 0;

	if (s->header == 32 && !bpf_skb_load_bytes(skb, at, first, sizeof(first)) && first[0] == ONLY_TIMESTAMP)
		return swap32(first[1]);
	for (int i = 0; i < 16 && at < stop; i++) {
		__u8 option[2] = {};

		bpf_skb_load_bytes(skb, at, option, at + 1 < stop ? 2 : 1);
		if (option[0] == 1) {
			at++;
			continue;
		}
		if (option[0] == 0 || option[1] < 2)
			break;
		if (option[0] == 5) {
			add(v->sacks_rcvd, 1);
			add(v->sack_blocks_rcvd, (__u32)(option[1] - 2) / 8);
		} else if (option[0] == 8 && !bpf_skb_load_bytes(skb, at + 2, &timestamp, sizeof(timestamp))) {
			timestamp = swap32(timestamp);
		}
		at += option[1];
	}
	return timestamp;
}

/* The codes of tcpEStatsStackSoftErrorReason. */
enum { SOUND, BELOW_DATA_WINDOW, ABOVE_DATA_WINDOW, BELOW_ACK_WINDOW, ABOVE_ACK_WINDOW, BELOW_TS_WINDOW };

inline_fn __u32 soft_error(struct estats *v, struct tcp_sock *tp, struct segment *s, __u32 tsval)
{
	__u32 end = s->seq + s->payload, edge = tp->rcv_wup + tp->rcv_wnd;

	if (READ_BITS(tp, rx_opt.tstamp_ok) && tsval && before(tsval, tp->rx_opt.ts_recent))
		return BELOW_TS_WINDOW;
	if (s->payload ? !after(end, tp->rcv_nxt) : before(s->seq, tp->rcv_wup))
		return BELOW_DATA_WINDOW;
	if (after(end, edge))
		return ABOVE_DATA_WINDOW;
	if (before(s->ack, v->in_ack))
		return BELOW_ACK_WINDOW;
	if (v->out_bits & SEGMENT_SEEN && after(s->ack, v->out_end) && after(s->ack, tp->snd_nxt))
		return ABOVE_ACK_WINDOW;
	return SOUND;
}

/* How far the out-of-order queue reaches beyond rcv_nxt. */
inline_fn void reassembly(struct estats *v, struct tcp_sock *tp)
{
	__u32 end = 0, span = 0;

	if (tp->out_of_order_queue.rb_node) {
		struct sk_buff *last = tp->ooo_last_skb;

		if (last && !bpf_probe_read_kernel(&end, sizeof(end), &((struct tcp_skb_cb *)last->cb)->end_seq) &&
		    after(end, tp->rcv_nxt))
			span = end - tp->rcv_nxt;
	}
	v->cur_reasm_queue = span;
	at_least(&v->max_reasm_queue, span);
}

/* Segments come, so all since the start have come. */
inline_fn void seen(struct estats *v)
{
	struct config *c = configuration();

	if (c)
		v->flags |= c->flags & FULL;
}

SEC("cgroup_skb/ingress")
int segment_in(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct segment s = {};
	struct tcp_sock *tp;
	struct estats *v;
	__u32 tsval, error, segments;
	bool duplicate;

	if (!sk)
		return 1;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 1;
	v = bpf_sk_storage_get(&storage, sk, 0, 0);
	if (!v || !parse(skb, &s))
		return 1;

	segments = skb->gso_segs ?: 1;
	v->ip_ttl = s.ttl;
	v->ip_tos_in = s.tos;
	if (s.payload)
		add(v->data_octets_in, s.payload);
	if ((s.tos & 3) == CE)
		add(v->ce_rcvd, segments);
	if ((s.flags & (SYN | ECE)) == ECE && tp->ecn_flags & TCP_ECN_OK)
		add(v->ecn_signals, segments);
	if (s.flags & ACK && !(s.flags & RST)) {
		if (!(v->in_bits & SEGMENT_SEEN)) {
			v->in_ack = s.ack;
			v->in_window = s.window ?: 1;
		}
		if (!s.window && v->in_window)
			add(v->zero_rwin_rcvd, 1);
		duplicate = v->in_bits & SEGMENT_SEEN && is_duplicate(&s, v->in_ack, v->in_window) && v->out_end != s.ack;
		if (duplicate)
			add(v->dup_acks_in, 1);
		v->in_bits = SEGMENT_SEEN | (duplicate ? SEGMENT_DUPLICATE : 0);
		tsval = options(skb, v, &s);
		error = s.flags & SYN || !(v->flags & ESTABLISHED) ? SOUND : soft_error(v, tp, &s, tsval);
		if (unlikely(error)) {
			add(v->soft_errors, 1);
			v->soft_error_reason = error;
		} else {
			v->in_ack_before = v->in_ack;
			v->in_ack = s.ack;
			v->in_window = s.window;
		}
	}
	return 1;
}

SEC("cgroup_skb/egress")
int segment_out(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct segment s = {};
	struct tcp_sock *tp;
	struct estats *v;
	bool duplicate, echo;
	__u32 end;

	if (!sk)
		return 1;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 1;
	v = bpf_sk_storage_get(&storage, sk, 0, 0);
	if (!v || !parse(skb, &s))
		return 1;

	v->ip_tos_out = s.tos;
	at_least(&v->max_rwin_sent, s.flags & SYN ? s.window : s.window << READ_BITS(tp, rx_opt.rcv_wscale));
	end = s.seq + s.payload + (s.flags & SYN ? 1 : 0) + (s.flags & FIN ? 1 : 0);
	if (!v->out_end || after(end, v->out_end))
		v->out_end = end;
	if (s.flags & ACK && !(s.flags & RST)) {
		if (!s.window && (v->out_window || !(v->out_bits & SEGMENT_SEEN)))
			v->zero_rwin_sent++;
		/* Probes and keep-alives are behind what was sent, so that they are answered. */
		duplicate = v->out_bits & SEGMENT_SEEN && is_duplicate(&s, v->out_ack, v->out_window) && s.seq == v->out_end;
		echo = s.flags & ECE && !(s.flags & SYN);
		if (duplicate) {
			v->dup_acks_out++;
			if (!(v->out_bits & SEGMENT_DUPLICATE))
				v->dup_ack_episodes++;
		}
		if (echo && !(v->out_bits & SEGMENT_ECE))
			v->ece_sent++;
		v->out_bits = SEGMENT_SEEN | (duplicate ? SEGMENT_DUPLICATE : 0) | (echo ? SEGMENT_ECE : 0);
		v->out_ack = s.ack;
		v->out_window = s.window;
	}
	if (v->flags & ESTABLISHED) {
		at_least(&v->max_pipe_size, octets(in_flight(tp), tp->mss_cache) + s.payload);
		reassembly(v, tp);
		observe(v, tp);
	}
	active(v, tp);
	if (unlikely(!(v->flags & FULL)))
		seen(v);
	return 1;
}
