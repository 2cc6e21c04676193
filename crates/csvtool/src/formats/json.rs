//! Values as JSON.

use super::csv;
use inetdiag::columns::Value;

/// A column's name as a key, and the colon behind it.
pub fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    write_text(&mut key, name.as_bytes());
    key.push(b':');
    key
}

/// Appends a value: numbers and flags as such, all else as text in the form that it has in CSV.
pub fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Uint(_) | Value::Int(_) => csv::write_value(out, value),
        Value::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        // None of these has a character that JSON escapes.
        Value::Hex(_) | Value::Time(_) | Value::Address(_) => {
            out.push(b'"');
            csv::write_value(out, value);
            out.push(b'"');
        }
        Value::Text(text) => write_text(out, text),
    }
}

/// Appends a string. Bytes that are no UTF-8 become U+FFFD.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, &String::from_utf8_lossy(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_the_types_that_json_has() {
        for (value, expected) in [
            (Value::Uint(u64::MAX), "18446744073709551615"),
            (Value::Int(-1), "-1"),
            (Value::Flag(true), "true"),
            (Value::Hex(0xabc), "\"ABC\""),
            (Value::Address([192, 0, 2, 1].into()), "\"192.0.2.1\""),
            (Value::Text(b"say \"x\"\n\xff"[..].into()), "\"say \\\"x\\\"\\n\u{fffd}\""),
        ] {
            let mut out = Vec::new();
            write_value(&mut out, &value);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
