//! Attribute numbers of a `sock_diag` reply (`INET_DIAG_*` of `linux/inet_diag.h`).
//!
//! The numbers are the kernel's and never change meaning; kernels newer than this crate send others too, and those
//! are kept in archives as they are.

pub use netlink_packet_sock_diag::constants::{
    INET_DIAG_BBRINFO, INET_DIAG_CLASS_ID, INET_DIAG_CONG, INET_DIAG_DCTCPINFO, INET_DIAG_INFO, INET_DIAG_LOCALS,
    INET_DIAG_MARK, INET_DIAG_MD5SIG, INET_DIAG_MEMINFO, INET_DIAG_PAD, INET_DIAG_PEERS, INET_DIAG_PROTOCOL,
    INET_DIAG_SHUTDOWN, INET_DIAG_SKMEMINFO, INET_DIAG_SKV6ONLY, INET_DIAG_TCLASS, INET_DIAG_TOS, INET_DIAG_VEGASINFO,
};

/// Upper layer protocol of the socket: its name, and TLS or MPTCP details, nested (since Linux 5.4).
pub const INET_DIAG_ULP_INFO: u16 = 19;
/// BPF local storage of the socket, nested; only when the request asked for it (since Linux 5.7).
pub const INET_DIAG_SK_BPF_STORAGES: u16 = 20;
/// Id of the socket's cgroup (v2), u64 (since Linux 5.8).
pub const INET_DIAG_CGROUP_ID: u16 = 21;
/// Socket options as two bytes of flags (since Linux 5.10).
pub const INET_DIAG_SOCKOPT: u16 = 22;

/// The highest attribute number an archive line stores.
///
/// A line is an array indexed by number, so one absurd number would make a line of tens of kilobytes of `null`.
/// The kernel has used 22 numbers in 20 years.
pub const MAX_STORED: u16 = 63;
