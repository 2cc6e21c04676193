//! Which attributes polls ask for.

use std::fmt;
use std::str::FromStr;

use cache::LeftOut;
use inetdiag::attribute::*;
use netlink_packet_sock_diag::inet::ExtensionFlags;

/// Which attributes polls ask for. The kernel sends others without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// These, in every poll.
    Always(ExtensionFlags),
    /// `INFO` and `CONG`; everything when a connection is first seen, and once a second.
    Lean,
}

impl Attributes {
    /// Everything there is.
    pub const FULL: Self = Self::Always(ExtensionFlags::all());

    /// What the polls ask for that look at everything.
    pub fn whole(&self) -> ExtensionFlags {
        match self {
            Self::Always(extensions) => extensions.clone(),
            Self::Lean => ExtensionFlags::all(),
        }
    }

    /// What the polls between those ask for, and what is left out then; `None` if all polls are alike.
    pub fn part(&self) -> Option<(ExtensionFlags, LeftOut)> {
        const NEITHER_INFO_NOR_CONG: [u16; 8] = [
            INET_DIAG_MEMINFO,
            INET_DIAG_VEGASINFO,
            INET_DIAG_DCTCPINFO,
            INET_DIAG_BBRINFO,
            INET_DIAG_TOS,
            INET_DIAG_TCLASS,
            INET_DIAG_CLASS_ID,
            INET_DIAG_SKMEMINFO,
        ];
        match self {
            Self::Always(_) => None,
            Self::Lean => Some((ExtensionFlags::INFO | ExtensionFlags::CONG, LeftOut::of(&NEITHER_INFO_NOR_CONG))),
        }
    }
}

impl FromStr for Attributes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => return Ok(Self::FULL),
            "lean" => return Ok(Self::Lean),
            _ => {}
        }
        let named = |name: &str| ExtensionFlags::from_name(&name.trim().to_ascii_uppercase());
        let names =
            || ExtensionFlags::all().iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>();
        let unknown =
            |name: &str| format!("there is no attribute {name:?}; give full, lean, or some of {}", names().join(","));
        let listed = text.split(',').map(|name| named(name).ok_or_else(|| unknown(name)));
        listed.collect::<Result<ExtensionFlags, _>>().map(Self::Always)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lean => f.write_str("lean"),
            Self::Always(extensions) if extensions.is_all() => f.write_str("full"),
            Self::Always(extensions) => {
                let names: Vec<_> = extensions.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_kernel() {
        assert_eq!("full".parse(), Ok(Attributes::FULL));
        assert_eq!("lean".parse(), Ok(Attributes::Lean));
        let listed: Attributes = "cong, INFO".parse().expect("both are there");
        assert_eq!(listed, Attributes::Always(ExtensionFlags::INFO | ExtensionFlags::CONG));
        for attributes in [Attributes::FULL, Attributes::Lean, listed] {
            assert_eq!(attributes.to_string().parse(), Ok(attributes));
        }
        for bad in ["", "info,", "bbr", "all"] {
            let error = bad.parse::<Attributes>().expect_err(bad);
            assert!(error.contains("info") && error.contains("skmeminfo"), "{error}");
        }
    }

    #[test]
    fn a_lean_poll_leaves_out_what_its_extension_bits_do_not_ask_for() {
        let (extensions, left_out) = Attributes::Lean.part().expect("polls differ");
        for bit in 0..8u16 {
            let asked = extensions.bits() & 1 << bit != 0;
            // The kernel sends SHUTDOWN in any case.
            let kind = bit + 1;
            assert_eq!(left_out.contains(kind), !asked && kind != INET_DIAG_SHUTDOWN, "{kind}");
        }
        for kind in [INET_DIAG_MARK, INET_DIAG_ULP_INFO, INET_DIAG_CGROUP_ID, INET_DIAG_SOCKOPT] {
            assert!(!left_out.contains(kind), "{kind} is sent without being asked for");
        }
        assert_eq!(Attributes::FULL.part(), None);
    }
}
