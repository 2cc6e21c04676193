//! Values of options as Go programs take them.

use std::time::Duration;

/// What Go takes for a truth value.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A time as Go writes it, `1m30s` or `1.5h`; or in more words, such as `30days`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(1);
    const MOST: Duration = Duration::from_secs(366 * 24 * 3600);
    match humantime::parse_duration(text).ok().or_else(|| go_duration(text)) {
        Some(duration) if (LEAST..=MOST).contains(&duration) => Ok(duration),
        Some(_) => Err("must be from 1ms to 1year".to_owned()),
        None => Err("must be a time with its unit, such as 10ms, 1s or 10m".to_owned()),
    }
}

/// Numbers, which may have fractions, each with a unit behind it.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at(unit_at);
        let unit_end = behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        sum = sum.checked_add(part)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_go_takes_them() {
        for (text, milliseconds) in [
            ("5m", 300_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1h0m0s", 3_600_000),
            ("100ms", 100),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1m0.25s", 60_250),
            ("1500µs", 1),
            ("30days", 30 * 24 * 3_600_000),
        ] {
            let duration = parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(duration.as_millis(), milliseconds, "{text}");
        }
        for bad in ["", "0", "0s", "5", "-1s", "1.5", "1.s.", "..5s", "s", "m5", "1x", "10us", "9999999h", "1e400s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
