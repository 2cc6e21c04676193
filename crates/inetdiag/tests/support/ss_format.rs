//! Numbers as C programs print them.

/// `%#x` of C: zero has no prefix.
pub(super) fn alternate_hex(value: u32) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

/// Time until a timer fires: `1min5sec`, `12sec`, `5.485ms` (which is five seconds and 485 ms), `040ms`.
pub(super) fn timer(milliseconds: u32) -> String {
    let (minutes, seconds, rest) = (milliseconds / 60_000, milliseconds / 1000 % 60, milliseconds % 1000);
    let rest = if minutes > 0 || seconds > 9 { 0 } else { rest };
    let seconds = if minutes > 9 { 0 } else { seconds };
    let mut text = if minutes > 0 { format!("{minutes}min") } else { String::new() };
    if seconds > 0 {
        text += &format!("{seconds}{}", if rest > 0 { "." } else { "sec" });
    }
    if rest > 0 {
        text += &format!("{rest:03}ms");
    }
    text
}

/// `%g` of C: six significant digits, no trailing zeros, an exponent where the number is very large or very small.
pub(super) fn general(value: f64) -> String {
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("has an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    let trim = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    match exponent {
        -4..=5 => trim(&format!("{value:.*}", (5 - exponent) as usize)),
        _ => format!("{}e{}{:02}", trim(mantissa), if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

#[test]
fn numbers_are_printed_as_c_prints_them() {
    let numbers = [0.0, 0.009, 204.0, 8.5, 2.88672, 1.0 / 3.0, 123_456.0, 1_234_567.0, 4_294_967.295, 0.000_012_5];
    let printed =
        ["0", "0.009", "204", "8.5", "2.88672", "0.333333", "123456", "1.23457e+06", "4.29497e+06", "1.25e-05"];
    assert_eq!(numbers.map(general), printed);
    assert_eq!([0, 0x2a].map(alternate_hex), ["0", "0x2a"]);
    let timers = [0, 40, 5485, 12_345, 65_000, 7_200_000].map(timer);
    assert_eq!(timers, ["", "040ms", "5.485ms", "12sec", "1min5sec", "120min"]);
}
