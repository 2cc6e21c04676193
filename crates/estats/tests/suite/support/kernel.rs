//! What the kernel counts of a namespace: `/proc/net/netstat` and `/proc/net/snmp`.

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
