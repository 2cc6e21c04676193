//! Metrics as text.

use prometheus::{Registry, TextEncoder};

/// Type of the text, version 0.0.4 of the format.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics of a registry. Bounds of buckets are written as Go writes them (`1e+06`): they are labels, and queries that
/// were written for the original name them.
pub fn exposition(registry: &Registry) -> Vec<u8> {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "metrics could not be told");
        return Vec::new();
    }
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.split_once("le=\"").and_then(|(head, rest)| Some((head, rest.split_once('"')?))) {
            Some((head, (bound, rest))) if !line.starts_with('#') => {
                let bound = bound.parse().map_or(bound.to_owned(), go_number);
                out.extend([head, "le=\"", &bound, "\"", rest]);
            }
            _ => out.push_str(line),
        }
    }
    out.into_bytes()
}

/// The shortest text of a number, with an exponent below -4 and from 6 on, as `%g` of Go.
fn go_number(number: f64) -> String {
    if !number.is_finite() || number == 0.0 {
        return if number == f64::INFINITY { "+Inf".to_owned() } else { number.to_string() };
    }
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    match exponent.parse::<i32>() {
        Ok(-4..6) => number.to_string(),
        Ok(exponent) => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
        Err(_) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_as_go_writes_them() {
        for (number, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.0016, "0.0016"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.009000000000000001, "0.009000000000000001"),
            (12.5, "12.5"),
            (79000.0, "79000"),
            (631000.0, "631000"),
            (1e6, "1e+06"),
            (1.58e6, "1.58e+06"),
            (1e10, "1e+10"),
            (1e21, "1e+21"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(go_number(number), expected);
        }
    }
}
