/* What the programs need of the kernel, and no more: helpers by number, contexts, and of each struct the fields that
 * are read. Offsets are those of the running kernel: the loader relocates each access (CO-RE), so neither order nor
 * what is left out matters here. Names and types are the kernel's.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define inline_fn static __attribute__((always_inline)) inline
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Map definitions: numbers and types travel as BTF. */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name

enum {
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_F_NO_PREALLOC = 1,
	BPF_SK_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
};

/* Where sock_ops programs are called from (enum of linux/bpf.h), and the flags that ask for some of it. */
enum {
	BPF_SOCK_OPS_TCP_CONNECT_CB = 3,
	BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB = 4,
	BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5,
	BPF_SOCK_OPS_RTO_CB = 8,
	BPF_SOCK_OPS_RETRANS_CB = 9,
	BPF_SOCK_OPS_STATE_CB = 10,
	BPF_SOCK_OPS_RTT_CB = 12,
	BPF_SOCK_OPS_RTO_CB_FLAG = 1,
	BPF_SOCK_OPS_RETRANS_CB_FLAG = 2,
	BPF_SOCK_OPS_STATE_CB_FLAG = 4,
	BPF_SOCK_OPS_RTT_CB_FLAG = 8,
};

enum { SOL_TCP = 6, TCP_BPF_SOCK_OPS_CB_FLAGS = 1008 };
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};
enum { ICSK_TIME_LOSS_PROBE = 5, ETIMEDOUT = 110 };
enum { TCP_CA_Open, TCP_CA_Disorder, TCP_CA_CWR, TCP_CA_Recovery, TCP_CA_Loss };
enum { TCP_CHRONO_UNSPEC, TCP_CHRONO_BUSY, TCP_CHRONO_RWND_LIMITED, TCP_CHRONO_SNDBUF_LIMITED };
enum { TCP_NAGLE_OFF = 1, TCP_ECN_OK = 1, TCP_INFINITE_SSTHRESH = 0x7fffffff };
enum { IPPROTO_TCP = 6 };

/* Contexts. The verifier rewrites accesses to these: they are no kernel structs and need no relocation. */
struct bpf_sock;

struct bpf_sock_ops {
	__u32 op;
	__u32 args[4];
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 is_fullsock;
	__u32 snd_cwnd;
	__u32 srtt_us;
	__u32 bpf_sock_ops_cb_flags;
	__u32 state;
	__u32 rtt_min;
	__u32 snd_ssthresh;
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 mss_cache;
	__u32 ecn_flags;
	__u32 rate_delivered;
	__u32 rate_interval_us;
	__u32 packets_out;
	__u32 retrans_out;
	__u32 total_retrans;
	__u32 segs_in;
	__u32 data_segs_in;
	__u32 segs_out;
	__u32 data_segs_out;
	__u32 lost_out;
	__u32 sacked_out;
	__u32 sk_txhash;
	__u64 bytes_received;
	__u64 bytes_acked;
	struct bpf_sock *sk __attribute__((aligned(8)));
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys __attribute__((aligned(8)));
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	struct bpf_sock *sk __attribute__((aligned(8)));
};

/* Kernel structs. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct netns_ipv4 {
	__u8 sysctl_tcp_ecn;
	__u8 sysctl_tcp_timestamps;
	__u8 sysctl_tcp_window_scaling;
	__u8 sysctl_tcp_sack;
};

struct net {
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	volatile unsigned char skc_state;
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
	int sk_err;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u32 icsk_rto;
	__u8 icsk_ca_state : 5;
	__u8 icsk_retransmits;
	__u8 icsk_pending;
	__u8 icsk_backoff;
};

struct tcp_options_received {
	__u32 ts_recent;
	__u16 tstamp_ok : 1;
	__u16 rcv_wscale : 4;
	__u16 mss_clamp;
};

struct tcp_rack {
	__u32 rtt_us;
};

struct rb_node;
struct rb_root {
	struct rb_node *rb_node;
};

struct sk_buff {
	char cb[48];
};

struct tcp_skb_cb {
	__u32 seq;
	__u32 end_seq;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 max_window;
	__u32 mss_cache;
	__u32 snd_cwnd;
	__u32 srtt_us;
	__u32 lost_out;
	__u32 sacked_out;
	__u32 retrans_out;
	__u32 packets_out;
	__u32 max_packets_out;
	__u32 copied_seq;
	__u32 tlp_high_seq;
	__u32 snd_ssthresh;
	struct rb_root out_of_order_queue;
	struct sk_buff *ooo_last_skb;
	__u8 chrono_type : 2;
	__u32 chrono_stat[3];
	__u32 write_seq;
	__u8 nonagle : 4;
	__u8 ecn_flags;
	__u64 tcp_mstamp;
	__u32 rcv_nxt;
	__u32 rcv_wup;
	__u32 rcv_wnd;
	__u32 snd_nxt;
	__u32 snd_una;
	struct tcp_options_received rx_opt;
	__u64 bytes_received;
	__u64 bytes_acked;
	struct tcp_rack rack;
	__u32 undo_marker;
	__u32 prior_cwnd;
	__u8 bpf_sock_ops_cb_flags;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

#pragma clang attribute pop

/* A bit-field, or a field that was one on older kernels, or had another size: its place is the running kernel's. The
 * offset is kept out of the load itself, where the loader would want to know the size as well.
 */
#define READ_BITS(s, field)                                                                                            \
	({                                                                                                             \
		__u64 at = __builtin_preserve_field_info((s)->field, 0 /* BPF_FIELD_BYTE_OFFSET */), bits;             \
		asm volatile("" : "+r"(at));                                                                           \
		void *p = (void *)(s) + at;                                                                            \
		switch (__builtin_preserve_field_info((s)->field, 1 /* BPF_FIELD_BYTE_SIZE */)) {                      \
		case 1:                                                                                                \
			bits = *(__u8 *)p;                                                                             \
			break;                                                                                         \
		case 2:                                                                                                \
			bits = *(__u16 *)p;                                                                            \
			break;                                                                                         \
		case 4:                                                                                                \
			bits = *(__u32 *)p;                                                                            \
			break;                                                                                         \
		default:                                                                                               \
			bits = *(__u64 *)p;                                                                            \
		}                                                                                                      \
		bits <<= __builtin_preserve_field_info((s)->field, 4 /* BPF_FIELD_LSHIFT_U64 */);                      \
		(__u32)(bits >> __builtin_preserve_field_info((s)->field, 5 /* BPF_FIELD_RSHIFT_U64 */));              \
	})

/* Helpers. */
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_skb_load_bytes)(const struct __sk_buff *skb, __u32 offset, void *to, __u32 len) = (void *)26;
static __u64 (*bpf_get_socket_cookie)(void *ctx) = (void *)46;
static long (*bpf_setsockopt)(void *sk, int level, int name, void *value, int len) = (void *)49;
static long (*bpf_sock_ops_cb_flags_set)(struct bpf_sock_ops *ctx, int flags) = (void *)59;
static void *(*bpf_sk_storage_get)(void *map, void *sk, void *value, __u64 flags) = (void *)107;
static long (*bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;
static long (*bpf_seq_write)(struct seq_file *seq, const void *data, __u32 len) = (void *)127;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *record, __u64 flags) = (void *)132;
static struct tcp_sock *(*bpf_skc_to_tcp_sock)(void *sk) = (void *)137;
