//! Which packets are captured.

use super::error::CaptureError;
use super::interface::Interface;
use super::program::{ACCEPT, Instruction, Load, REJECT, when, when_it};
use super::protocol::{IPV4, IPV6, VLAN_TAGS};
use super::sys::{LinkLayer, PCAP_NAMES, Pcap, PcapError};

/// VLAN tags that are looked behind, besides one that the kernel may have taken out of the bytes.
const TAGS: u32 = 2;
/// Length of the addresses of an Ethernet header, behind which EtherTypes are.
const ADDRESSES: u32 = 12;
/// Length of a VLAN tag, and of an EtherType.
const TAG: u32 = 4;
const ETHER_TYPE: u32 = 2;

const TCP: u16 = 6;
/// Headers of IPv6 that TCP may be behind: hop-by-hop options, routing, fragment, authentication, destination options,
/// mobility. The filter does not look behind them; who reads the packets does.
const EXTENSIONS: [u16; 6] = [0, 43, 44, 51, 60, 135];

/// Which packets are captured, and of each the first [`SNAP_LEN`](super::SNAP_LEN) bytes: a program that the kernel runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Tcp,
    /// For interfaces with Ethernet headers, or for those without.
    Compiled {
        program: Vec<Instruction>,
        ethernet: bool,
    },
}

impl Filter {
    /// TCP over IPv4 and IPv6, fragments of it, and IPv6 with extension headers that it may be behind; within up to
    /// two VLAN tags, or three if the kernel takes the outer one out of the bytes. It needs no library and fits all
    /// interfaces.
    pub fn tcp() -> Self {
        Self(Kind::Tcp)
    }

    /// What the expression describes, in the language of tcpdump (pcap-filter(7)), for this interface. Exactly `tcp` is
    /// the built-in filter; all others need libpcap to be installed.
    ///
    /// Interfaces without an Ethernet header, and all interfaces together, know only what begins with the IP header: no
    /// `ether`, no `vlan`. Of what is sent over a loopback interface only the arrival is captured, so there is nothing
    /// `outbound`. As with tcpdump, `tcp port 80` is not looked for behind VLAN tags in the bytes; `vlan and …` is.
    pub fn compile(expression: &str, interface: &Interface) -> Result<Self, CaptureError> {
        if expression.trim() == "tcp" {
            return Ok(Self::tcp());
        }
        Self::compile_with(PCAP_NAMES.as_slice(), expression, interface)
    }

    fn compile_with(library: &[&str], expression: &str, interface: &Interface) -> Result<Self, CaptureError> {
        let ethernet = interface.has_ethernet_header();
        let link = if ethernet { LinkLayer::Ethernet(interface.name()) } else { LinkLayer::Ip };
        let program = Pcap::load(library).and_then(|pcap| pcap.compile(expression, link));
        let program = program.map_err(|error| match error {
            PcapError::Library(source) => CaptureError::NoLibpcap { expression: expression.into(), source },
            PcapError::Permission => CaptureError::NoPermission { action: "compile the filter for the interface" },
            PcapError::Message(message) => CaptureError::Expression { expression: expression.into(), message },
        })?;
        Ok(Self(Kind::Compiled { program, ethernet }))
    }

    /// The program for sockets whose packets begin with an Ethernet header, or for those whose do not. `None`: it was
    /// compiled for the others.
    pub(super) fn program(&self, ethernet: bool) -> Option<Vec<Instruction>> {
        let body = match &self.0 {
            Kind::Tcp if ethernet => tcp_over_ethernet(ADDRESSES, TAGS),
            Kind::Tcp => tcp_over_network(),
            Kind::Compiled { ethernet: compiled_for, .. } if *compiled_for != ethernet => return None,
            Kind::Compiled { program, .. } => program.clone(),
        };
        Some([not_twice(), body].concat())
    }
}

/// What is sent over a loopback interface passes twice; the packets on their way out are left out.
fn not_twice() -> Vec<Instruction> {
    let outgoing = when(Load::PacketType, &[libc::PACKET_OUTGOING.into()], &[REJECT]);
    when(Load::HardwareType, &[libc::ARPHRD_LOOPBACK], &outgoing)
}

/// From an EtherType on, behind as many tags as may still come.
fn tcp_over_ethernet(ether_type: u32, tags: u32) -> Vec<Instruction> {
    let network = ether_type + ETHER_TYPE;
    let mut program = Load::Half(ether_type).instructions();
    program.extend(when_it(&[IPV4], &tcp_over_ipv4(network)));
    program.extend(when_it(&[IPV6], &tcp_over_ipv6(network)));
    if tags > 0 {
        program.extend(when_it(&VLAN_TAGS, &tcp_over_ethernet(ether_type + TAG, tags - 1)));
    }
    program.push(REJECT);
    program
}

/// Without link layer. Where there is a tag in the bytes, kernels do not agree on whether they begin with it or behind
/// it: both is accepted.
fn tcp_over_network() -> Vec<Instruction> {
    let either_way = [
        when(Load::Nibble(0), &[0x40], &when(Load::Byte(9), &[TCP], &[ACCEPT])),
        when(Load::Nibble(0), &[0x60], &tcp_behind(Load::Byte(6))),
        tcp_over_ethernet(ETHER_TYPE, TAGS - 1),
    ];
    let mut program = Load::Protocol.instructions();
    program.extend(when_it(&[IPV4], &tcp_over_ipv4(0)));
    program.extend(when_it(&[IPV6], &tcp_over_ipv6(0)));
    program.extend(when_it(&VLAN_TAGS, &either_way.concat()));
    program.push(REJECT);
    program
}

fn tcp_over_ipv4(header: u32) -> Vec<Instruction> {
    let mut program = when(Load::Byte(header + 9), &[TCP], &[ACCEPT]);
    program.push(REJECT);
    program
}

fn tcp_over_ipv6(header: u32) -> Vec<Instruction> {
    let mut program = tcp_behind(Load::Byte(header + 6));
    program.push(REJECT);
    program
}

/// Accepts if the next header of IPv6 is TCP or one that it may be behind.
fn tcp_behind(next_header: Load) -> Vec<Instruction> {
    let mut accepted = vec![TCP];
    accepted.extend(EXTENSIONS);
    when(next_header, &accepted, &[ACCEPT])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_libpcap_it_is_told_what_to_install_and_the_default_works() {
        let any = Interface::named("any").expect("needs nothing");
        for names in [&["libpcap-that-is-not-there.so.1"][..], &["libm.so.6"]] {
            let error = Filter::compile_with(names, "udp", &any).expect_err("there is none").to_string();
            assert!(error.contains("\"udp\" needs libpcap") && error.contains("libpcap0.8"), "{error}");
        }
        assert_eq!(Filter::compile(" tcp ", &any).expect("is built in"), Filter::tcp());
    }
}
