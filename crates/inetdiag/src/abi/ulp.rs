//! `INET_DIAG_ULP_INFO` (since Linux 5.4): what runs on top of the socket.

use super::attribute::INET_DIAG_ULP_INFO;
use crate::dump::{AttributeError, AttributeFault, Attributes};

const INET_ULP_INFO_NAME: u16 = 1;
const INET_ULP_INFO_TLS: u16 = 2;
const INET_ULP_INFO_MPTCP: u16 = 3;
const MPTCP_SUBFLOW_ATTR_PAD: u16 = 11;

/// Upper layer protocol of a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UlpInfo {
    /// Name, such as `tls`, `mptcp` or `espintcp`.
    pub name: Option<String>,
    /// Kernel TLS details.
    pub tls: Option<TlsInfo>,
    /// Details of the MPTCP subflow that this socket is (since Linux 5.7).
    pub mptcp: Option<MptcpSubflow>,
    /// Whether a newer kernel sent values, here or in a nest within, that this crate does not know.
    pub has_unknown: bool,
}

/// Kernel TLS state (`TLS_INFO_*` of `linux/tls.h`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsInfo {
    /// TLS version, `0x0303` for 1.2 and `0x0304` for 1.3.
    pub version: Option<u16>,
    /// Cipher number of `linux/tls.h` (51 is AES-GCM-128).
    pub cipher: Option<u16>,
    /// Transmit side: 1 base, 2 software, 3 hardware offload, 4 hardware record.
    pub txconf: Option<u16>,
    /// Receive side, numbered as `txconf`.
    pub rxconf: Option<u16>,
    /// Whether `sendfile` encrypts without a copy. A flag: it is sent only where it is set (since Linux 5.19).
    pub zc_ro_tx: bool,
    /// Whether TLS 1.3 records are expected to carry no padding. A flag, too (since Linux 6.0).
    pub rx_no_pad: bool,
    /// Longest plaintext of a record sent, in bytes (since Linux 6.19).
    pub tx_max_payload_len: Option<u16>,
}

/// State of an MPTCP subflow (`MPTCP_SUBFLOW_ATTR_*` of `linux/mptcp.h`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MptcpSubflow {
    /// Token of the remote peer.
    pub token_rem: Option<u32>,
    /// Local token.
    pub token_loc: Option<u32>,
    /// Relative sequence number of the next byte to be written.
    pub relwrite_seq: Option<u32>,
    /// Data sequence number of the current mapping.
    pub map_seq: Option<u64>,
    /// Subflow sequence number of the current mapping.
    pub map_sfseq: Option<u32>,
    /// Offset between the data sequence numbers and those of the subflow.
    pub ssn_offset: Option<u32>,
    /// Length of the current mapping, in bytes.
    pub map_datalen: Option<u16>,
    /// Flags of `MPTCP_SUBFLOW_FLAG_*`.
    pub flags: Option<u32>,
    /// Address id of the remote end.
    pub id_rem: Option<u8>,
    /// Address id of the local end.
    pub id_loc: Option<u8>,
}

impl UlpInfo {
    /// Decodes the nested attributes. What was read before a malformed one stays in the result, beside the error.
    pub fn decode(payload: &[u8]) -> (Self, Option<AttributeError>) {
        let mut ulp = Self::default();
        let mut inner = None;
        let error = each(payload, |kind, value, offset| match kind {
            INET_ULP_INFO_NAME => ulp.name = Some(text(value)),
            INET_ULP_INFO_TLS => {
                let (tls, error) = TlsInfo::decode(value, &mut ulp.has_unknown);
                ulp.tls = Some(tls);
                inner = inner.or(error.map(|error| error.within(INET_DIAG_ULP_INFO, offset)));
            }
            INET_ULP_INFO_MPTCP => {
                let (mptcp, error) = MptcpSubflow::decode(value, &mut ulp.has_unknown);
                ulp.mptcp = Some(mptcp);
                inner = inner.or(error.map(|error| error.within(INET_DIAG_ULP_INFO, offset)));
            }
            _ => ulp.has_unknown = true,
        });
        (ulp, inner.or(error))
    }
}

impl TlsInfo {
    fn decode(payload: &[u8], has_unknown: &mut bool) -> (Self, Option<AttributeError>) {
        let mut tls = Self::default();
        let mut torn = None;
        let error = each(payload, |kind, value, offset| match kind {
            1 => tls.version = number(value, offset, &mut torn).map(u16::from_ne_bytes),
            2 => tls.cipher = number(value, offset, &mut torn).map(u16::from_ne_bytes),
            3 => tls.txconf = number(value, offset, &mut torn).map(u16::from_ne_bytes),
            4 => tls.rxconf = number(value, offset, &mut torn).map(u16::from_ne_bytes),
            5 => tls.zc_ro_tx = true,
            6 => tls.rx_no_pad = true,
            7 => tls.tx_max_payload_len = number(value, offset, &mut torn).map(u16::from_ne_bytes),
            _ => *has_unknown = true,
        });
        (tls, torn.or(error))
    }
}

impl MptcpSubflow {
    fn decode(payload: &[u8], has_unknown: &mut bool) -> (Self, Option<AttributeError>) {
        let mut subflow = Self::default();
        let mut torn = None;
        let error = each(payload, |kind, value, offset| match kind {
            1 => subflow.token_rem = number(value, offset, &mut torn).map(u32::from_ne_bytes),
            2 => subflow.token_loc = number(value, offset, &mut torn).map(u32::from_ne_bytes),
            3 => subflow.relwrite_seq = number(value, offset, &mut torn).map(u32::from_ne_bytes),
            4 => subflow.map_seq = number(value, offset, &mut torn).map(u64::from_ne_bytes),
            5 => subflow.map_sfseq = number(value, offset, &mut torn).map(u32::from_ne_bytes),
            6 => subflow.ssn_offset = number(value, offset, &mut torn).map(u32::from_ne_bytes),
            7 => subflow.map_datalen = number(value, offset, &mut torn).map(u16::from_ne_bytes),
            8 => subflow.flags = number(value, offset, &mut torn).map(u32::from_ne_bytes),
            9 => subflow.id_rem = number(value, offset, &mut torn).map(u8::from_ne_bytes),
            10 => subflow.id_loc = number(value, offset, &mut torn).map(u8::from_ne_bytes),
            MPTCP_SUBFLOW_ATTR_PAD => {}
            _ => *has_unknown = true,
        });
        (subflow, torn.or(error))
    }
}

/// Text up to the first NUL, as the kernel writes names.
pub(crate) fn text(payload: &[u8]) -> String {
    let end = payload.iter().position(|&b| b == 0).unwrap_or(payload.len());
    String::from_utf8_lossy(&payload[..end]).into_owned()
}

/// A number; one of another size is malformed, which the first such leaves in `torn`, and absent.
fn number<const N: usize>(payload: &[u8], offset: usize, torn: &mut Option<AttributeError>) -> Option<[u8; N]> {
    let number = payload.try_into().ok();
    if number.is_none() {
        let fault = AttributeFault::Torn { len: payload.len() };
        torn.get_or_insert(AttributeError { kind: INET_DIAG_ULP_INFO, offset, fault });
    }
    number
}

/// Visits number, value and place of each attribute of a nest.
fn each(payload: &[u8], mut visit: impl FnMut(u16, &[u8], usize)) -> Option<AttributeError> {
    for attribute in Attributes::new(payload, 0) {
        match attribute {
            Ok(attribute) => visit(attribute.kind, attribute.payload, attribute.offset),
            Err(error) => return Some(error.within(INET_DIAG_ULP_INFO, 0)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nla(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(4 + payload.len() as u16).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn kernel_tls_is_decoded_from_its_nest() {
        let inner = [nla(1, &0x0304u16.to_ne_bytes()), nla(2, &51u16.to_ne_bytes())].concat();
        let payload = [nla(1, b"tls\0"), nla(2 | 0x8000, &inner)].concat();
        let (ulp, error) = UlpInfo::decode(&payload);
        assert_eq!(error, None);
        assert_eq!(ulp.name.as_deref(), Some("tls"));
        let tls = ulp.tls.expect("the nest is there");
        assert_eq!((tls.version, tls.cipher, tls.txconf), (Some(0x0304), Some(51), None));
        assert!(!tls.zc_ro_tx && !tls.rx_no_pad && !ulp.has_unknown);
    }

    #[test]
    fn flags_are_set_by_being_there() {
        let inner = [nla(5, &[]), nla(6, &[]), nla(7, &4096u16.to_ne_bytes())].concat();
        let (ulp, error) = UlpInfo::decode(&nla(2, &inner));
        let tls = ulp.tls.expect("the nest is there");
        assert_eq!((tls.zc_ro_tx, tls.rx_no_pad, tls.tx_max_payload_len), (true, true, Some(4096)));
        assert!(error.is_none() && !ulp.has_unknown);
    }

    #[test]
    fn values_of_a_newer_kernel_are_noticed_in_each_nest() {
        let padded = nla(3, &[nla(3, &7u32.to_ne_bytes()), nla(11, &[])].concat());
        let (ulp, error) = UlpInfo::decode(&padded);
        assert_eq!(ulp.mptcp.and_then(|subflow| subflow.relwrite_seq), Some(7));
        assert!(error.is_none() && !ulp.has_unknown);
        for nest in [nla(2, &nla(8, &[])), nla(3, &nla(12, &[1])), nla(4, &[])] {
            let (ulp, error) = UlpInfo::decode(&nest);
            assert!(error.is_none() && ulp.has_unknown);
        }
    }

    #[test]
    fn a_number_of_the_wrong_size_is_malformed_and_absent() {
        let inner = [nla(1, &[4]), nla(2, &51u16.to_ne_bytes())].concat();
        let (ulp, error) = UlpInfo::decode(&nla(2, &inner));
        let tls = ulp.tls.expect("the nest is there");
        assert_eq!((tls.version, tls.cipher), (None, Some(51)));
        let error = error.expect("is told");
        assert_eq!((error.offset, error.fault), (8, AttributeFault::Torn { len: 1 }));
    }

    #[test]
    fn a_cut_nest_keeps_what_came_before_it() {
        let mut payload = nla(1, b"mptcp\0");
        payload.extend_from_slice(&[40, 0, 3, 0, 1]);
        let (ulp, error) = UlpInfo::decode(&payload);
        assert_eq!(ulp.name.as_deref(), Some("mptcp"));
        assert!(error.is_some());
    }
}
