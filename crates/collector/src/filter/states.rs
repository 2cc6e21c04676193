//! Sets of TCP states.

use std::fmt;
use std::str::FromStr;

use inetdiag::TcpState;

/// The states of connections and of attempts at one, as `ss` names them. Listeners and half-open requests are no
/// connections; sockets in TIME_WAIT have no statistics any more, and closed ones are told of by destroy events.
const POLLED: [(&str, TcpState); 7] = [
    ("established", TcpState::Established),
    ("syn-sent", TcpState::SynSent),
    ("fin-wait-1", TcpState::FinWait1),
    ("fin-wait-2", TcpState::FinWait2),
    ("close-wait", TcpState::CloseWait),
    ("last-ack", TcpState::LastAck),
    ("closing", TcpState::Closing),
];

/// States in which polls look at sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States(u32);

impl States {
    /// Those of which polls can tell.
    pub const ALL: Self = {
        let (mut bits, mut at) = (0, 0);
        while at < POLLED.len() {
            bits |= 1 << POLLED[at].1 as u32;
            at += 1;
        }
        Self(bits)
    };

    /// All states that a socket can be in, those that are no connection's, too.
    pub const EVERY: Self = Self(0b1111_1111_1110);

    /// That of listeners.
    pub const LISTENERS: Self = Self(1 << TcpState::Listen as u32);

    /// Those of `include`, or all if there are none, without those of `exclude`. `None` if that leaves none.
    pub fn new(include: &[Self], exclude: &[Self]) -> Option<Self> {
        let union = |states: &[Self]| states.iter().fold(0, |bits, states| bits | states.0);
        let included = if include.is_empty() { Self::ALL.0 } else { union(include) };
        let left = included & !union(exclude);
        (left != 0).then_some(Self(left))
    }

    /// Whether it is one of them.
    pub fn contain(self, state: TcpState) -> bool {
        self.0 & 1 << state.number() != 0
    }

    /// As the kernel has it: the bit of each state's number.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for States {
    fn default() -> Self {
        Self::ALL
    }
}

/// Without what `ss` and the kernel write differently.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '-' | '_')).map(|letter| letter.to_ascii_lowercase()).collect()
}

impl FromStr for States {
    type Err = String;

    /// One state, as `ss` or the kernel writes it.
    fn from_str(text: &str) -> Result<Self, String> {
        let found = POLLED.iter().find(|(name, _)| plain(name) == plain(text.trim()));
        let names = || POLLED.map(|(name, _)| name).join(", ");
        found.map(|(_, state)| Self(1 << state.number())).ok_or_else(|| format!("{text:?} is none of {}", names()))
    }
}

impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = POLLED.iter().filter(|(_, state)| self.contain(*state)).map(|(name, _)| *name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> States {
        name.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn states_are_known_as_ss_and_the_kernel_name_them() {
        for name in ["fin-wait-1", "FIN_WAIT1", "fin_wait_1", " fin-wait-1 "] {
            assert_eq!(state(name).bits(), 1 << 4);
        }
        for bad in ["", "time-wait", "listen", "open"] {
            assert!(bad.parse::<States>().is_err(), "{bad}");
        }
        // All of 1 to 11 but SYN_RECV 3, TIME_WAIT 6, CLOSE 7 and LISTEN 10.
        assert_eq!(States::ALL.bits(), 0b1011_0011_0110);
    }

    #[test]
    fn what_is_excluded_is_so_whatever_is_included() {
        let [established, syn_sent] = ["established", "syn-sent"].map(state);
        assert_eq!(States::new(&[], &[]), Some(States::ALL));
        assert_eq!(States::new(&[established, syn_sent], &[syn_sent]), Some(established));
        assert_eq!(States::new(&[established], &[established]), None);
        let rest = States::new(&[], &[established, syn_sent]).expect("some");
        assert_eq!(rest.to_string(), "fin-wait-1,fin-wait-2,close-wait,last-ack,closing");
    }
}
