//! What a frame without link layer begins with.

use libc::{ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, ETH_P_QINQ1};

/// EtherTypes of VLAN tags: customer, service, and what came before that.
pub(super) const VLAN_TAGS: [u16; 3] = [CUSTOMER_TAG, ETH_P_8021AD as u16, ETH_P_QINQ1 as u16];
const CUSTOMER_TAG: u16 = ETH_P_8021Q as u16;
pub(super) const IPV4: u16 = ETH_P_IP as u16;
pub(super) const IPV6: u16 = ETH_P_IPV6 as u16;

/// The protocol that the bytes begin with, where the kernel tells this one.
///
/// Of frames with VLAN tags in their bytes, kernels say different things: since 6.11 the protocol behind the tags,
/// although the bytes may begin with a tag (measured on 6.18: of two tags that arrive, the inner one); before that a
/// tag, although the bytes may begin with what is behind it. So the bytes decide: either they are IP of that version, or
/// there is a tag, and what it announces follows.
pub(super) fn at_start(told: u16, bytes: &[u8]) -> u16 {
    let may_be_tagged = told == IPV4 || told == IPV6 || VLAN_TAGS.contains(&told);
    if !may_be_tagged || is_ip(told, bytes) {
        return told;
    }
    if let &[_, _, high, low, ref behind @ ..] = bytes {
        let announced = u16::from_be_bytes([high, low]);
        if VLAN_TAGS.contains(&announced) || is_ip(announced, behind) {
            return CUSTOMER_TAG;
        }
    }
    [IPV4, IPV6].into_iter().find(|&protocol| is_ip(protocol, bytes)).unwrap_or(told)
}

/// Whether this is an IP protocol, and the bytes begin with its version.
fn is_ip(protocol: u16, bytes: &[u8]) -> bool {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => protocol == IPV4,
        Some(6) => protocol == IPV6,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bytes_are_counts_where_there_may_be_tags() {
        const ARP: u16 = 0x0806;
        let ipv4: &[u8] = &[0x45, 0, 0, 40, 0, 1];
        let ipv6: &[u8] = &[0x60, 0, 0, 0, 0, 20];
        // A header whose length reads like an EtherType.
        let long: &[u8] = &[0x45, 0, 8, 0, 0x45, 0];
        let tag_ipv4: &[u8] = &[0, 7, 8, 0, 0x45, 0];
        let tag_ipv6: &[u8] = &[0, 7, 0x86, 0xdd, 0x60, 0];
        let tag_tag: &[u8] = &[0, 7, 0x81, 0, 0, 8];
        let tag_arp: &[u8] = &[0, 7, 8, 6, 0, 1];
        for (told, bytes, expected) in [
            (IPV4, ipv4, IPV4),
            (IPV4, long, IPV4),
            (IPV6, ipv6, IPV6),
            (IPV4, tag_ipv4, CUSTOMER_TAG),
            (IPV6, tag_ipv6, CUSTOMER_TAG),
            (IPV4, tag_tag, CUSTOMER_TAG),
            (CUSTOMER_TAG, tag_ipv4, CUSTOMER_TAG),
            (CUSTOMER_TAG, tag_arp, CUSTOMER_TAG),
            (CUSTOMER_TAG, ipv4, IPV4),
            (0x88a8, ipv6, IPV6),
            (0x88a8, tag_tag, CUSTOMER_TAG),
            (ARP, ipv4, ARP),
            (ARP, tag_ipv4, ARP),
            (IPV4, &[], IPV4),
        ] {
            assert_eq!(at_start(told, bytes), expected, "{told:#x} {bytes:x?}");
        }
    }
}
