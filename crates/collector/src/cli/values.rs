//! Values of options, and how they are written.

use std::time::Duration;

use bytesize::ByteSize;
use program::values::{parse_bool, parse_duration};
use web::Address;

/// The polling interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// No polls: only destroy events are recorded.
    Off,
    /// From poll to poll.
    Every(Duration),
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Interval::Off => f.write_str("off"),
            Interval::Every(duration) => humantime::format_duration(*duration).fmt(f),
        }
    }
}

/// Which extended statistics are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExtendedStatistics {
    /// None.
    #[default]
    Off,
    /// What callbacks of the kernel tell.
    On,
    /// What each segment tells, too.
    Full,
}

impl std::fmt::Display for ExtendedStatistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ExtendedStatistics::Off => "off",
            ExtendedStatistics::On => "on",
            ExtendedStatistics::Full => "full",
        })
    }
}

pub(super) fn parse_extended(text: &str) -> Result<ExtendedStatistics, String> {
    if text == "full" {
        return Ok(ExtendedStatistics::Full);
    }
    let is_on = if matches!(text, "on" | "off") { Ok(text == "on") } else { parse_bool(text) };
    match is_on {
        Ok(true) => Ok(ExtendedStatistics::On),
        Ok(false) => Ok(ExtendedStatistics::Off),
        Err(_) => Err("must be on, off or full".to_owned()),
    }
}

/// A share of one core, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuShare(f64);

impl CpuShare {
    /// 0.5 for 50 %.
    pub fn of_one_core(self) -> f64 {
        self.0 / 100.0
    }
}

impl std::fmt::Display for CpuShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

pub(super) fn parse_share(text: &str) -> Result<CpuShare, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse() {
        Ok(percent) if (1.0..=100.0).contains(&percent) => Ok(CpuShare(percent)),
        _ => Err("must be a share of one core, from 1% to 100%".to_owned()),
    }
}

pub(super) fn parse_memory(text: &str) -> Result<ByteSize, String> {
    parse_disk(text).and_then(|size| match size {
        size if size >= ByteSize::mib(1) => Ok(size),
        _ => Err("must be 1MiB or more".to_owned()),
    })
}

pub(super) fn parse_disk(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "must be a number of bytes, or a size such as 256MiB".to_owned())
}

/// Where metrics are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// There.
    At(Address),
}

/// As Go programs take it; a port of 0 is nowhere, as with the original's `-prom`.
pub(super) fn parse_listen(text: &str) -> Result<Listen, String> {
    if text == "off" || text == "0" {
        return Ok(Listen::Off);
    }
    text.parse().map(Listen::At)
}

pub(super) fn parse_interval(text: &str) -> Result<Interval, String> {
    if text == "off" {
        return Ok(Interval::Off);
    }
    parse_duration(text).map(Interval::Every).map_err(|reason| format!("{reason}; or `off`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_times_or_off() {
        assert_eq!(parse_interval("off"), Ok(Interval::Off));
        assert_eq!(parse_interval("10ms"), Ok(Interval::Every(Duration::from_millis(10))));
        assert_eq!(Interval::Every(Duration::from_millis(1500)).to_string(), "1s 500ms");
        for bad in ["", "0", "0s", "10", "-1s", "10us", "never", "18446744073709551615s", "2years"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_and_sizes_have_units() {
        assert_eq!(parse_share("50%").map(CpuShare::of_one_core), Ok(0.5));
        assert_eq!(parse_share("100"), Ok(CpuShare(100.0)));
        for bad in ["", "%", "0", "101%", "-5", "NaN", "inf", "half"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_memory("256MiB"), Ok(ByteSize::mib(256)));
        assert_eq!(parse_memory("1048576"), Ok(ByteSize::mib(1)));
        for bad in ["", "1KiB", "-1", "a lot"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn metrics_are_served_at_an_address_or_nowhere() {
        assert_eq!(["off", "0"].map(parse_listen), [Ok(Listen::Off), Ok(Listen::Off)]);
        for address in [":9991", "9991", "127.0.0.1:9991"] {
            assert!(matches!(parse_listen(address), Ok(Listen::At(_))), "{address}");
        }
        assert!(parse_listen("x").is_err() && parse_listen("").is_err());
    }
}
