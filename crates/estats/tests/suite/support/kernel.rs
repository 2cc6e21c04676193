//! Which kernel this is, and what it counts of a namespace: `/proc/net/netstat` and `/proc/net/snmp`.

use std::collections::HashMap;

use netlab::Namespace;

/// Counters by name, such as `TcpExtTCPTimeouts` and `TcpRetransSegs`.
#[derive(Debug)]
pub(crate) struct Counters(HashMap<String, i64>);

impl Counters {
    pub(crate) fn of(namespace: &Namespace) -> Self {
        let mut counters = HashMap::new();
        for file in ["/proc/net/netstat", "/proc/net/snmp"] {
            let text = namespace.output("cat", &[file]);
            let lines: Vec<_> = text.lines().collect();
            for pair in lines.chunks(2) {
                let (protocol, names) = pair[0].split_once(": ").expect("names");
                let (_, values) = pair[1].split_once(": ").expect("values");
                for (name, value) in names.split(' ').zip(values.split(' ')) {
                    counters.insert(format!("{protocol}{name}"), value.parse().expect("a number"));
                }
            }
        }
        Self(counters)
    }

    /// The sum of these.
    pub(crate) fn sum(&self, names: &[&str]) -> i128 {
        names.iter().map(|&name| i128::from(*self.0.get(name).unwrap_or_else(|| panic!("no counter {name}")))).sum()
    }
}

/// Major and minor number of a kernel, such as 6.1.
pub(crate) fn kernel_version(text: &str) -> (u32, u32) {
    let mut numbers =
        text.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("two"), numbers.next().expect("two"))
}

/// That of this kernel.
pub(crate) fn running_kernel() -> (u32, u32) {
    kernel_version(&rustix::system::uname().release().to_string_lossy())
}

/// How much further apart two moments of one event may be here than on a machine: an emulated processor is slow.
pub(crate) fn slack() -> u32 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if text.contains("QEMU TCG") { 5 } else { 1 }
}
