//! Interfaces that there are, that there are not, and that go away.

use std::os::fd::AsFd;
use std::time::Instant;

use netlab::{Namespace, Pair};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use streams::capture::{Filter, Interface, Ring, RingOptions};
use streams::packet::Link;

use crate::support::captured::{OPTIONS, open, read_until, ring};
use crate::support::packets::{Injector, ethernet, ipv4, ipv6, segment, silence};
use crate::support::{PATIENCE, require_root};

#[test]
fn interfaces_are_what_the_kernel_says() {
    require_root!();
    let pair = Pair::new();
    let left = &pair.left;
    left.ip(&["tuntap", "add", "tun0", "mode", "tun"]);
    let index = |name: &str| -> u32 {
        let text = left.output("ip", &["-oneline", "link", "show", "dev", name]);
        text.split(':').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    // ARPHRD_LOOPBACK, ARPHRD_ETHER, ARPHRD_NONE.
    for (name, hardware_type, loopback, ethernet, up) in
        [("lo", 772, true, true, true), ("veth0", 1, false, true, true), ("tun0", 0xfffe, false, false, false)]
    {
        let interface = left.run(|| Interface::named(name)).expect("is there");
        assert_eq!(interface.name(), name);
        assert_eq!(interface.index(), Some(index(name)));
        assert_eq!(interface.hardware_type(), Some(hardware_type));
        assert_eq!((interface.is_loopback(), interface.has_ethernet_header()), (loopback, ethernet));
        assert_eq!(interface.is_up(), up);
    }
    let any = Interface::named("any").expect("is all");
    assert_eq!((any.index(), any.hardware_type()), (None, None));
    assert!(!any.is_loopback() && !any.has_ethernet_header() && any.is_up());
}

#[test]
fn of_an_unknown_interface_it_is_told_which_there_are() {
    require_root!();
    let pair = Pair::new();
    for name in ["eth7", "a name that is longer than any", "", "/"] {
        let error = pair.left.run(|| Interface::named(name)).expect_err("is not there").to_string();
        assert!(error.contains(&format!("{name:?}")), "{error}");
        for there in ["any", "lo", "veth0"] {
            assert!(error.contains(there), "{error}");
        }
    }
}

/// Gives the interface this packet, as if it had come from the other end of a tunnel.
const TUNNEL: &str = "
import fcntl, os, struct, sys
tunnel = os.open('/dev/net/tun', os.O_RDWR)
IFF_TUN, IFF_NO_PI, TUNSETIFF = 1, 0x1000, 0x400454ca
fcntl.ioctl(tunnel, TUNSETIFF, struct.pack('16sH22x', b'tun0', IFF_TUN | IFF_NO_PI))
os.write(tunnel, bytes.fromhex(sys.argv[1]))
";

#[test]
fn an_interface_without_link_layer_begins_with_the_ip_header() {
    require_root!();
    let host = Namespace::new();
    silence(&host);
    host.ip(&["tuntap", "add", "tun0", "mode", "tun"]);
    host.ip(&["link", "set", "tun0", "up"]);
    for (filter, packet) in [
        ("tcp", ipv4("TCP", 6, 0, &segment(9, 10))),
        ("tcp", ipv6("TCP", 6, &segment(9, 10))),
        ("tcp dst port 9", ipv4("TCP", 6, 0, &segment(9, 10))),
    ] {
        let mut ring = open(&host, "tun0", filter, None).expect("the ring opens");
        for packet in [&ipv4("UDP", 17, 0, &segment(9, 10)), &packet] {
            let hex: String = packet.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            host.output("python3", &["-c", TUNNEL, &hex]);
        }
        let captured = read_until(&mut ring, |captured| !captured.is_empty());
        assert_eq!(captured[0].link, Link::Protocol(packet.ether_type));
        assert_eq!(captured[0].bytes, packet.bytes);
        assert_eq!(captured[0].wire_len as usize, packet.bytes.len());
    }
}

#[test]
fn an_interface_that_goes_down_is_told_and_captured_when_it_comes_up() {
    require_root!();
    let pair = Pair::new();
    silence(&pair.left);
    silence(&pair.right);
    let mut ring = ring(&pair.left, "veth0");
    ring.take_error().expect("none yet");
    pair.left.ip(&["link", "set", "veth0", "down"]);
    let fd = ring.as_fd();
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)), Ok(1));
    assert!(ring.next_block().is_none());
    assert_eq!(ring.take_error().expect_err("is down").raw_os_error(), Some(100));
    ring.take_error().expect("it was told");
    assert!(ring.is_bound().expect("is told"));

    pair.left.ip(&["link", "set", "veth0", "up"]);
    let injector = Injector::new(&pair.left, "veth0");
    let frame = ethernet(&[], &ipv4("TCP", 6, 0, &segment(9, 10)));
    let deadline = Instant::now() + PATIENCE;
    let is_there = |captured: &[_]| {
        injector.try_send(&frame);
        !captured.is_empty() || Instant::now() > deadline
    };
    assert!(!read_until(&mut ring, is_there).is_empty());
}

/// Whatever has its index then.
#[test]
fn a_ring_is_of_no_interface_any_more_when_its_own_is_removed() {
    require_root!();
    let pair = Pair::new();
    let remove = || pair.left.ip(&["link", "del", "veth0"]);
    remove();
    pair.join_as(70);
    let rings = ["veth0", "lo", "any"].map(|name| ring(&pair.left, name));
    let is_bound = || rings.each_ref().map(|ring| ring.is_bound().expect("is told"));
    assert_eq!(is_bound(), [true, true, true]);
    remove();
    assert_eq!(is_bound(), [false, true, true]);
    pair.join_as(70);
    assert_eq!(is_bound(), [false, true, true]);
}

#[test]
fn without_the_capability_it_is_told_how_to_give_it() {
    require_root!();
    let host = Namespace::new();
    let error = host.run(|| {
        let interface = Interface::named("lo").expect("is there");
        // Of this thread, which ends with this closure.
        let mut sets = capabilities(None).expect("are told");
        sets.effective.remove(CapabilitySet::NET_RAW);
        set_capabilities(None, sets).expect("one may always give them up");
        let opened = Ring::open(&interface, &Filter::tcp(), &OPTIONS, None).expect_err("is not allowed");
        let compiled = Filter::compile("tcp port 80", &interface).expect_err("is not allowed");
        [opened, compiled].map(|error| error.to_string())
    });
    for error in error {
        assert!(error.contains("needs CAP_NET_RAW") && error.contains("setcap cap_net_raw+ep"), "{error}");
    }
}

#[test]
fn a_ring_that_does_not_fit_into_memory_says_what_to_make_smaller() {
    require_root!();
    let host = Namespace::new();
    let error = host.run(|| {
        let interface = Interface::named("lo").expect("is there");
        // The kernel makes no single array for so many blocks.
        let options = RingOptions { block_size: 4096, blocks: 1 << 20, ..OPTIONS };
        Ring::open(&interface, &Filter::tcp(), &options, None).expect_err("is too large").to_string()
    });
    assert!(error.contains("fewer or smaller blocks"), "{error}");
}
