//! Which connections a client of the second protocol wants to be told of.

use inetdiag::InetDiagMsg;
use serde::Deserialize;

use crate::filter::{Network, Networks, Ports};

/// What a client asks for in one line of JSON, such as `{"ports": ["443", "8000-8999"], "networks": ["192.0.2.0/24"]}`.
/// Of each list that is not empty, an end of the connection has to be in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscription {
    ports: Ports,
    networks: Networks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    networks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Range(String),
}

impl Subscription {
    /// Reads it; an empty line asks for everything.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Some(Self::default());
        }
        // A list would be taken for the fields in their order.
        let asked: Asked = serde_json::from_slice(line).ok().filter(|_| line.starts_with(b"{"))?;
        let parse = |port| match port {
            Port::Number(number) => number.to_string().parse::<Ports>().ok(),
            Port::Range(text) => text.parse().ok(),
        };
        let ports = asked.ports.into_iter().map(parse).collect::<Option<Ports>>()?;
        let networks = asked.networks.iter().map(|text| text.parse().ok()).collect::<Option<Vec<Network>>>()?.into();
        Some(Self { ports, networks })
    }

    /// Whether it wants to know of this connection.
    pub(super) fn wants(&self, header: &InetDiagMsg) -> bool {
        let ports = [header.id.idiag_sport.get(), header.id.idiag_dport.get()];
        (self.ports.is_empty() || ports.iter().any(|&port| self.ports.contains(port)))
            && (self.networks.as_slice().is_empty()
                || self.networks.contain(header.src())
                || self.networks.contain(header.dst()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sport: u16, dport: u16, dst: [u8; 4]) -> InetDiagMsg {
        let mut bytes = [0; 72];
        bytes[0] = 2;
        bytes[4..6].copy_from_slice(&sport.to_be_bytes());
        bytes[6..8].copy_from_slice(&dport.to_be_bytes());
        bytes[24..28].copy_from_slice(&dst);
        *inetdiag::Message::new(&bytes).expect("long enough").header()
    }

    #[test]
    fn either_end_may_meet_it() {
        let parse = |text: &str| Subscription::parse(text.as_bytes()).expect(text);
        let https = header(443, 5000, [192, 0, 2, 7]);
        for (text, expected) in [
            ("", true),
            ("{}", true),
            (r#"{"ports":[443]}"#, true),
            (r#"{"ports":["4000-6000"]}"#, true),
            (r#"{"ports":[80]}"#, false),
            (r#"{"networks":["192.0.2.0/24"]}"#, true),
            (r#"{"networks":["198.51.100.0/24"]}"#, false),
            (r#"{"ports":[443],"networks":["198.51.100.0/24"]}"#, false),
        ] {
            assert_eq!(parse(text).wants(&https), expected, "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_none() {
        for bad in ["x", "[]", r#"{"port":[1]}"#, r#"{"ports":[65536]}"#, r#"{"networks":["host"]}"#] {
            assert!(Subscription::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
