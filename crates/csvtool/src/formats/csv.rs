//! Values as cells of a CSV file, by the rules of Go's `encoding/csv`: commas, `\n`, quotes only where they are needed.

use std::io::Write;
use std::net::IpAddr;

use chrono::{DateTime, Datelike, FixedOffset, Timelike};

use inetdiag::columns::Value;

/// Appends one cell.
#[inline]
pub fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        // Most numbers are small, zero above all.
        Value::Uint(digit @ 0..10) => out.push(b'0' + *digit as u8),
        Value::Uint(number) => write_number(out, *number),
        Value::Int(number) => write_number(out, *number),
        Value::Flag(flag) => out.push(b'0' + u8::from(*flag)),
        Value::Hex(number) => write_display(out, format_args!("{number:X}")),
        Value::Time(time) => write_time(out, time),
        Value::Address(IpAddr::V4(address)) => {
            for (i, octet) in address.octets().into_iter().enumerate() {
                out.extend_from_slice(if i > 0 { b"." } else { b"" });
                write_number(out, octet);
            }
        }
        Value::Address(IpAddr::V6(address)) => write_display(out, format_args!("{address}")),
        Value::Text(text) => write_text(out, text),
    }
}

fn write_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_display(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// RFC 3339 with up to nine digits of fraction, trailing zeros trimmed, and `Z` for no offset.
fn write_time(out: &mut Vec<u8>, time: &DateTime<FixedOffset>) {
    const NANOS: u32 = 1_000_000_000;
    let local = time.naive_local();
    // A leap second is held as 59 seconds and more than a second of nanoseconds.
    let second = local.second() + local.nanosecond() / NANOS;
    let mut fraction = local.nanosecond() % NANOS;

    let year = local.year().unsigned_abs();
    write_two(out, year / 100);
    write_two(out, year % 100);
    for (before, number) in
        [(b'-', local.month()), (b'-', local.day()), (b'T', local.hour()), (b':', local.minute()), (b':', second)]
    {
        out.push(before);
        write_two(out, number);
    }
    if fraction > 0 {
        out.push(b'.');
        let mut unit = NANOS / 10;
        while fraction > 0 {
            out.push(b'0' + (fraction / unit) as u8);
            fraction %= unit;
            unit /= 10;
        }
    }
    match time.offset().local_minus_utc() {
        0 => out.push(b'Z'),
        offset => {
            out.push(if offset < 0 { b'-' } else { b'+' });
            let minutes = offset.unsigned_abs() / 60;
            write_two(out, minutes / 60);
            out.push(b':');
            write_two(out, minutes % 60);
        }
    }
}

/// Two digits of a number below 100.
fn write_two(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

/// Appends text, in quotes if it needs them.
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    if !needs_quotes(text) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn needs_quotes(text: &[u8]) -> bool {
    // `\.` alone on a line ends the input of some databases.
    text == br"\." || text.iter().any(|byte| b",\"\r\n".contains(byte)) || starts_with_space(text)
}

fn starts_with_space(text: &[u8]) -> bool {
    let start = &text[..text.len().min(4)];
    let first = start.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    first.is_some_and(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: impl Into<Value<'static>>) -> String {
        let mut out = Vec::new();
        write_value(&mut out, &value.into());
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn numbers_flags_and_identities() {
        assert_eq!(cell(u64::MAX), "18446744073709551615");
        assert_eq!(cell(-1i64), "-1");
        assert_eq!((cell(true), cell(false)), ("1".into(), "0".into()));
        assert_eq!(cell(Value::Hex(0x0135_a272)), "135A272");
        assert_eq!(cell(Value::Hex(0)), "0");
    }

    #[test]
    fn times_keep_their_offset_and_lose_trailing_zeros() {
        for (input, expected) in [
            ("2019-08-26T19:55:42.754686952-04:00", "2019-08-26T19:55:42.754686952-04:00"),
            ("2019-07-01T00:00:12.090Z", "2019-07-01T00:00:12.09Z"),
            ("2019-07-01T00:00:12.000000001+00:00", "2019-07-01T00:00:12.000000001Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("2026-12-31T23:59:59+05:45", "2026-12-31T23:59:59+05:45"),
            ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.5Z"),
        ] {
            assert_eq!(cell(DateTime::parse_from_rfc3339(input).expect(input)), expected);
        }
    }

    #[test]
    fn addresses_are_written_the_shortest_way() {
        for (input, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::", "::"),
            ("2000::", "2000::"),
            ("::192.0.2.1", "::c000:201"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ] {
            assert_eq!(cell(input.parse::<IpAddr>().expect(input)), expected);
        }
    }

    #[test]
    fn only_text_that_needs_quotes_gets_them() {
        for (text, expected) in [
            ("", ""),
            ("cubic", "cubic"),
            ("a b", "a b"),
            (r"\.", r#""\.""#),
            (r"\.x", r"\.x"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" lead", "\" lead\""),
            ("\u{a0}lead", "\"\u{a0}lead\""),
        ] {
            assert_eq!(cell(text), expected);
        }
        let mut out = Vec::new();
        write_text(&mut out, b"\xff,\"");
        assert_eq!(out, b"\"\xff,\"\"\"");
    }
}
