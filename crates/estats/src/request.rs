//! How a poll asks for the values.

/// Request attribute that asks for the storages of sockets (`INET_DIAG_REQ_SK_BPF_STORAGES`, since Linux 5.7).
pub const INET_DIAG_REQ_SK_BPF_STORAGES: u16 = 2;
const SK_DIAG_BPF_STORAGE_REQ_MAP_FD: u16 = 1;
const NLA_F_NESTED: u16 = 1 << 15;

/// The attribute to put behind a dump request (`inet_diag_req_v2`, or `inet_diag_req` of Linux 2.6): asks for the values
/// of the map that is open as this descriptor. Whoever asks needs `CAP_BPF`, in each request.
///
/// ```
/// let attribute = estats::request::storages(7);
/// assert_eq!(attribute.len(), 12);
/// assert_eq!(attribute[8..], 7i32.to_ne_bytes());
/// ```
pub fn storages(map: std::os::fd::RawFd) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0..2].copy_from_slice(&12u16.to_ne_bytes());
    bytes[2..4].copy_from_slice(&(INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED).to_ne_bytes());
    bytes[4..6].copy_from_slice(&8u16.to_ne_bytes());
    bytes[6..8].copy_from_slice(&SK_DIAG_BPF_STORAGE_REQ_MAP_FD.to_ne_bytes());
    bytes[8..12].copy_from_slice(&map.to_ne_bytes());
    bytes
}
