//! What a variable can be.

use std::fmt;

/// Value of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datum {
    /// A counter, a gauge, or any other number.
    Number(u64),
    /// A number that may be negative.
    Integer(i32),
    /// `TruthValue`.
    Truth(bool),
    /// A number that has a name in the MIB.
    Code(u8, &'static str),
    /// One octet.
    Octet(u8),
    /// A time that the MIB has in milliseconds. The kernel knows it in microseconds, which are kept: it displays as
    /// milliseconds with a fraction.
    Milliseconds {
        /// The time in microseconds.
        micros: u64,
    },
    /// A date, in nanoseconds since 1970.
    Date(u64),
}

impl Datum {
    /// As the MIB has it, a whole number: `TruthValue` is 1 for true and 2 for false, and milliseconds are cut. Dates are
    /// no numbers.
    pub fn to_mib(self) -> Option<i128> {
        Some(match self {
            Datum::Number(number) => number.into(),
            Datum::Integer(number) => number.into(),
            Datum::Truth(truth) => 2 - i128::from(truth),
            Datum::Code(code, _) => code.into(),
            Datum::Octet(octet) => octet.into(),
            Datum::Milliseconds { micros } => (micros / 1000).into(),
            Datum::Date(_) => return None,
        })
    }

    /// For tables of numbers: as the MIB has it, but with the fraction of milliseconds; dates are seconds since 1970.
    pub fn to_f64(self) -> f64 {
        match self {
            Datum::Milliseconds { micros } => micros as f64 / 1e3,
            Datum::Date(nanoseconds) => nanoseconds as f64 / 1e9,
            Datum::Truth(truth) => f64::from(u8::from(truth)),
            other => other.to_mib().unwrap_or_default() as f64,
        }
    }
}

/// ```
/// use estats::Datum;
/// assert_eq!(Datum::Milliseconds { micros: 52 }.to_string(), "0.052");
/// assert_eq!(Datum::Milliseconds { micros: 2000 }.to_string(), "2");
/// assert_eq!(Datum::Code(3, "peerDisabled").to_string(), "peerDisabled");
/// ```
impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Datum::Number(number) => number.fmt(f),
            Datum::Integer(number) => number.fmt(f),
            Datum::Truth(truth) => truth.fmt(f),
            Datum::Code(_, name) => name.fmt(f),
            Datum::Octet(octet) => octet.fmt(f),
            Datum::Milliseconds { micros } => decimal(f, micros, 1000, 3),
            Datum::Date(nanoseconds) => decimal(f, nanoseconds, 1_000_000_000, 9),
        }
    }
}

/// A fraction, if there is one, without zeros at its end.
fn decimal(f: &mut fmt::Formatter<'_>, number: u64, one: u64, digits: usize) -> fmt::Result {
    write!(f, "{}", number / one)?;
    if number.is_multiple_of(one) {
        return Ok(());
    }
    let fraction = format!("{:0digits$}", number % one);
    write!(f, ".{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mib_has_whole_numbers() {
        let cases = [
            (Datum::Number(7), Some(7), 7.0, "7"),
            (Datum::Integer(-1), Some(-1), -1.0, "-1"),
            (Datum::Truth(true), Some(1), 1.0, "true"),
            (Datum::Truth(false), Some(2), 0.0, "false"),
            (Datum::Code(5, "established"), Some(5), 5.0, "established"),
            (Datum::Octet(64), Some(64), 64.0, "64"),
            (Datum::Milliseconds { micros: 1_999 }, Some(1), 1.999, "1.999"),
            (Datum::Milliseconds { micros: 1_500 }, Some(1), 1.5, "1.5"),
            (Datum::Date(1_500_000_000), None, 1.5, "1.5"),
        ];
        for (datum, mib, float, text) in cases {
            assert_eq!((datum.to_mib(), datum.to_f64(), datum.to_string().as_str()), (mib, float, text));
        }
    }
}
