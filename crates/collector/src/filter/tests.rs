//! One meaning: the program as the kernel runs it, and the predicate, on any socket and any filter.

use proptest::prelude::*;

use super::*;

/// What the kernel knows of a socket when it runs a program (`struct inet_diag_entry`).
#[derive(Debug, Clone)]
struct Socket {
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    cgroup: u64,
}

impl Socket {
    /// As the kernel tells of it.
    fn message(&self) -> Vec<u8> {
        let mut bytes = vec![0; 72];
        bytes[0] = if self.source.0.is_ipv4() { 2 } else { 10 };
        for ((address, port), port_at, address_at) in [(self.source, 4, 8), (self.destination, 6, 24)] {
            bytes[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
            match address {
                IpAddr::V4(v4) => bytes[address_at..address_at + 4].copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => bytes[address_at..address_at + 16].copy_from_slice(&v6.octets()),
            }
        }
        bytes.extend(12u16.to_ne_bytes());
        bytes.extend(21u16.to_ne_bytes());
        bytes.extend(self.cgroup.to_ne_bytes());
        bytes
    }

    fn end(&self, is_source: bool) -> (IpAddr, u16) {
        if is_source { self.source } else { self.destination }
    }
}

fn word(program: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([program[at], program[at + 1]])
}

/// `inet_diag_bc_audit` of the kernel: panics where it would refuse the program.
fn audit(program: &[u8]) {
    let mut ends = vec![program.len()];
    let mut at = 0;
    while at < program.len() {
        ends.push(at);
        let (code, yes) = (program[at], usize::from(program[at + 1]));
        let least = match code {
            1 => 4,
            2..=5 => 8,
            7 | 8 => {
                if program[at + 4] == 2 {
                    16
                } else {
                    28
                }
            }
            13 => 12,
            _ => panic!("operation {code}"),
        };
        assert!(yes >= least && yes % 4 == 0 && at + yes <= program.len(), "yes {yes} at {at}");
        at += yes;
    }
    assert_eq!(at, program.len());
    at = 0;
    while at < program.len() {
        let no = usize::from(word(program, at + 2));
        assert!(no >= 4 && no % 4 == 0, "no {no} at {at}");
        let target = at + no;
        assert!(target == program.len() + 4 || ends.contains(&target), "jump from {at} to {target}");
        at += usize::from(program[at + 1]);
    }
}

/// `inet_diag_bc_run` of the kernel.
fn run(program: &[u8], socket: &Socket) -> bool {
    let mut at = 0;
    while at < program.len() {
        let code = program[at];
        let (address, port) = socket.end(matches!(code, 2 | 3 | 7));
        let holds = match code {
            1 => false,
            2 | 4 => port >= word(program, at + 6),
            3 | 5 => port <= word(program, at + 6),
            7 | 8 => host_matches(&program[at + 4..], address),
            13 => program[at + 4..at + 12] == socket.cgroup.to_ne_bytes(),
            _ => panic!("operation {code}"),
        };
        at += if holds { program[at + 1].into() } else { usize::from(word(program, at + 2)) };
    }
    at == program.len()
}

fn host_matches(condition: &[u8], address: IpAddr) -> bool {
    let (family, prefix_len) = (condition[0], usize::from(condition[1]));
    assert_eq!(condition[4..8], (-1i32).to_ne_bytes(), "any port");
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let wanted = &condition[8..];
    match (family, octets.len()) {
        (2, 4) | (10, 16) => same_bits(&octets, wanted, prefix_len),
        (2, 16) => {
            octets[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] && same_bits(&octets[12..], wanted, prefix_len)
        }
        _ => false,
    }
}

fn same_bits(a: &[u8], b: &[u8], bits: usize) -> bool {
    (0..bits).all(|bit| (a[bit / 8] ^ b[bit / 8]) & (0x80 >> (bit % 8)) == 0)
}

/// Few enough that filters and sockets meet.
fn port() -> impl Strategy<Value = u16> {
    prop_oneof![0u16..6, 80u16..83, 32_766u16..32_770, 65_533u16..=65_535, any::<u16>()]
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let first = prop_oneof![Just(127u8), Just(169), Just(10), Just(192), any::<u8>()];
    (first, prop_oneof![Just(254u8), 0u8..3], 0u8..3, 0u8..4).prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    let special = prop_oneof![Just("::1"), Just("::"), Just("fe80::1"), Just("febf::2"), Just("2001:db8::1")];
    prop_oneof![
        v4().prop_map(|v4| v4.to_ipv6_mapped()),
        special.prop_map(|text| text.parse().expect("an address")),
        (0u16..3, 0u16..3).prop_map(|(a, b)| Ipv6Addr::new(0x2001, 0xdb8, a, 0, 0, 0, 0, b)),
    ]
}

fn socket() -> impl Strategy<Value = Socket> {
    let addresses = prop_oneof![
        (v4(), v4()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        (v6(), v6()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
    ];
    (addresses, port(), port(), 0u64..4).prop_map(|((source, destination), sport, dport, cgroup)| Socket {
        source: (source, sport),
        destination: (destination, dport),
        cgroup,
    })
}

fn network() -> impl Strategy<Value = Network> {
    let bits = prop_oneof![Just(0u8), Just(8), Just(24), Just(32), 0u8..=32];
    let v6_bits = prop_oneof![Just(0u8), Just(10), Just(96), Just(104), Just(128), 0u8..=128];
    prop_oneof![
        (v4(), bits).prop_map(|(address, bits)| Network::new(address.into(), bits).expect("bits")),
        (v6(), v6_bits).prop_map(|(address, bits)| Network::new(address.into(), bits).expect("bits")),
    ]
}

fn ports() -> impl Strategy<Value = Ports> {
    prop::collection::vec((port(), port()), 0..4).prop_map(|ranges| {
        let range = |(a, b): (u16, u16)| format!("{}-{}", a.min(b), a.max(b)).parse::<Ports>().expect("ports");
        ranges.into_iter().map(range).collect()
    })
}

fn criteria() -> impl Strategy<Value = Criteria> {
    let networks = || prop::collection::vec(network(), 0..3);
    (ports(), ports(), networks(), networks(), prop::collection::vec(0u64..4, 0..2)).prop_map(
        |(source_ports, destination_ports, source_networks, destination_networks, cgroups)| Criteria {
            source_ports,
            destination_ports,
            source_networks,
            destination_networks,
            cgroups,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn program_and_predicate_agree(
        include_local: bool,
        include in criteria(),
        exclude in criteria(),
        sockets in prop::collection::vec(socket(), 1..20),
    ) {
        let filter = Filter::new(include_local, States::ALL, include, exclude);
        let Compiled { program, is_whole, .. } = filter.compile();
        prop_assert!(is_whole);
        audit(&program);
        for socket in sockets {
            let message = socket.message();
            let message = Message::new(&message).expect("long enough");
            prop_assert_eq!(run(&program, &socket), filter.accepts(message), "{:?}", socket);
        }
    }
}

fn accepts(filter: &Filter, source: &str, destination: &str) -> bool {
    let end = |text: &str| text.parse::<std::net::SocketAddr>().map(|end| (end.ip(), end.port())).expect("an end");
    let message = Socket { source: end(source), destination: end(destination), cgroup: 1 }.message();
    filter.accepts(Message::new(&message).expect("long enough"))
}

#[test]
fn without_a_word_all_but_local_connections_are_recorded() {
    let filter = Filter::new(false, States::ALL, Criteria::default(), Criteria::default());
    assert!(accepts(&filter, "10.0.0.1:80", "192.0.2.1:1") && accepts(&filter, "[2001:db8::1]:80", "[2001:db8::2]:1"));
    for local in ["127.0.0.1:1", "127.9.9.9:1", "169.254.1.1:1"] {
        assert!(!accepts(&filter, "10.0.0.1:80", local) && !accepts(&filter, local, "10.0.0.1:80"), "{local}");
    }
    for local in ["[::1]:1", "[fe80::1]:1", "[febf::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(!accepts(&filter, "[2001:db8::1]:80", local), "{local}");
    }
    for other in ["[::2]:1", "[fec0::1]:1", "[::ffff:10.0.0.1]:1"] {
        assert!(accepts(&filter, "[2001:db8::1]:80", other), "{other}");
    }
    assert!(accepts(&Filter::default(), "127.0.0.1:1", "127.0.0.1:2"), "no steps, no filter");
    assert!(Filter::default().compile().program.is_empty());
}

#[test]
fn what_is_excluded_is_left_out_whatever_is_included() {
    let include = Criteria { source_ports: "1-1000".parse().expect("ports"), ..Criteria::default() };
    let exclude = Criteria {
        source_ports: "443".parse().expect("ports"),
        destination_networks: vec!["192.0.2.0/24".parse().expect("a network")],
        ..Criteria::default()
    };
    let filter = Filter::new(false, States::ALL, include, exclude);
    assert!(accepts(&filter, "10.0.0.1:80", "198.51.100.1:5000"));
    assert!(!accepts(&filter, "10.0.0.1:443", "198.51.100.1:5000"));
    assert!(!accepts(&filter, "10.0.0.1:8080", "198.51.100.1:5000"));
    assert!(!accepts(&filter, "10.0.0.1:80", "192.0.2.7:5000"));
}

#[test]
fn a_socket_that_does_not_name_its_cgroup_is_not_recorded_by_it() {
    let cgroups = || Criteria { cgroups: vec![1], ..Criteria::default() };
    let message = [0; 72];
    let message = Message::new(&message).expect("long enough");
    // Polls may have left it out: it is not recorded either way.
    for (include, exclude) in [(cgroups(), Criteria::default()), (Criteria::default(), cgroups())] {
        assert_eq!(Filter::new(true, States::ALL, include, exclude).accepts_at_end(message), Some(false));
    }
}

#[test]
fn of_a_long_filter_the_kernel_does_what_is_short() {
    let many = (0..2000u16).map(|number| (number * 2).to_string().parse::<Ports>().expect("a port")).collect();
    let exclude =
        Criteria { source_ports: many, destination_ports: "22".parse().expect("ports"), ..Criteria::default() };
    let compiled = Filter::new(false, States::ALL, Criteria::default(), exclude).compile();
    assert!(!compiled.is_whole && compiled.program.len() <= MAX_PROGRAM_LEN);
    audit(&compiled.program);
    let to_22 = Socket { source: ([10, 0, 0, 1].into(), 1), destination: ([10, 0, 0, 2].into(), 22), cgroup: 0 };
    assert!(!run(&compiled.program, &to_22));
}

/// As after an abort on this side: the remote port is gone, and the local address.
#[test]
fn what_the_end_of_a_socket_does_not_say_is_not_held_against_it() {
    let zeroed = Socket { source: ([0, 0, 0, 0].into(), 1), destination: ([192, 0, 2, 7].into(), 0), cgroup: 0 };
    let message = zeroed.message();
    let accepts = |include: Criteria, exclude: Criteria| {
        let message = Message::new(&message).expect("long enough");
        Filter::new(false, States::ALL, include, exclude).accepts_at_end(message)
    };
    let of_all = Criteria::default;
    assert_eq!(accepts(of_all(), of_all()), Some(true), "it is not local, by its other address");
    let port = |text: &str| text.parse().expect("a port");
    let network = |text: &str| vec![text.parse().expect("a network")];
    // Which of them it says, and which it does not.
    let source_ports = |text: &str| Criteria { source_ports: port(text), ..of_all() };
    let destination_networks = |text: &str| Criteria { destination_networks: network(text), ..of_all() };
    let destination_ports = || Criteria { destination_ports: port("443"), ..of_all() };
    let source_networks = || Criteria { source_networks: network("10.0.0.0/8"), ..of_all() };
    for told in [source_ports("1"), destination_networks("192.0.2.0/24")] {
        assert_eq!((accepts(told.clone(), of_all()), accepts(of_all(), told)), (Some(true), Some(false)));
    }
    for told in [source_ports("2"), destination_networks("10.0.0.0/8")] {
        assert_eq!((accepts(told.clone(), of_all()), accepts(of_all(), told)), (Some(false), Some(true)));
    }
    for untold in [destination_ports(), source_networks()] {
        assert_eq!((accepts(untold.clone(), of_all()), accepts(of_all(), untold)), (None, Some(true)));
    }
    let both = Criteria { destination_ports: port("443"), ..source_ports("2") };
    assert_eq!(accepts(both, of_all()), Some(false), "what it says is enough");
}
