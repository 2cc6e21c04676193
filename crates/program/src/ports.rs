//! Sets of ports.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Any of the 65,536 ports, as ranges that neither meet nor overlap, by rising number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

impl Ports {
    /// Whether no port is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this port is in it.
    pub fn contains(&self, port: u16) -> bool {
        let behind = self.0.partition_point(|range| *range.end() < port);
        self.0.get(behind).is_some_and(|range| range.contains(&port))
    }

    /// The ranges, by rising number.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (u16, u16)> {
        self.0.iter().map(|range| (*range.start(), *range.end()))
    }
}

impl FromIterator<Self> for Ports {
    /// The ports of all these sets.
    fn from_iter<T: IntoIterator<Item = Self>>(sets: T) -> Self {
        let mut ranges: Vec<_> = sets.into_iter().flat_map(|set| set.0).collect();
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u16>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => joined.push(range),
            }
        }
        Self(joined)
    }
}

impl FromStr for Ports {
    type Err = String;

    /// A port, or a range such as `1000-2000`.
    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            text.trim().parse::<u16>().map_err(|_| format!("{text:?} is no port: a number from 0 to 65535, or a range"))
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if first > last {
            return Err(format!("the range {text:?} ends before it begins"));
        }
        Ok(Self(vec![first..=last]))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.ranges().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ports(parts: &[&str]) -> Ports {
        parts.iter().map(|part| part.parse::<Ports>().expect("ports")).collect()
    }

    #[test]
    fn ranges_are_joined() {
        assert_eq!(ports(&["443", "80", "444-500", "450", "0"]).to_string(), "0,80,443-500");
        assert_eq!(ports(&["1-65535", "0"]).to_string(), "0-65535");
        assert!(ports(&["40000"]).contains(40_000) && !ports(&["40000"]).contains(39_999));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for bad in ["", "65536", "-1", "http", "10-", "20-10", "1.5"] {
            assert!(bad.parse::<Ports>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_set_contains_what_was_put_in(
            ranges in prop::collection::vec((any::<u16>(), any::<u16>()), 0..10),
            asked in any::<u16>(),
        ) {
            let set: Ports = ranges.iter().map(|&(a, b)| Ports(vec![a.min(b)..=a.max(b)])).collect();
            let expected = |port| ranges.iter().any(|&(a, b)| (a.min(b)..=a.max(b)).contains(&port));
            for port in ranges.iter().flat_map(|&(a, b)| [a, b, a.wrapping_add(1), b.wrapping_sub(1)]).chain([asked]) {
                prop_assert_eq!(set.contains(port), expected(port));
            }
        }
    }
}
