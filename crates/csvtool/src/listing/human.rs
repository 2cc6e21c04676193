//! Values for people: in units that fit.

use std::net::IpAddr;

/// A value, or a dash where it is not known.
pub fn known(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

/// An address with its port.
pub fn end(address: IpAddr, port: u16) -> String {
    let address = address.to_canonical();
    if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Bytes, in powers of 1000 as rates are.
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, "B")
}

/// Bits a second.
pub fn rate(bits: f64) -> String {
    scaled(bits, "bit/s")
}

fn scaled(number: f64, unit: &str) -> String {
    const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut number = number;
    let mut prefix = 0;
    while number >= 999.5 && prefix + 1 < PREFIXES.len() {
        number /= 1000.0;
        prefix += 1;
    }
    let digits = if prefix == 0 || number >= 99.95 {
        0
    } else if number >= 9.995 {
        1
    } else {
        2
    };
    format!("{number:.digits$} {}{unit}", PREFIXES[prefix])
}

/// A share from 0 to 1.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".to_owned(),
        percent @ ..0.01 => format!("{percent:.4}%"),
        percent @ ..10.0 => format!("{percent:.2}%"),
        percent => format!("{percent:.1}%"),
    }
}

/// A short time.
pub fn micros(micros: u32) -> String {
    match micros {
        0..1000 => format!("{micros}us"),
        1000..1_000_000 => format!("{:.1}ms", f64::from(micros) / 1e3),
        _ => format!("{:.2}s", f64::from(micros) / 1e6),
    }
}

/// A time of any length.
pub fn seconds(seconds: f64) -> String {
    // What is told in whole seconds is rounded first, so that no minute has sixty of them.
    let seconds = if seconds < 59.995 { seconds } else { seconds.round() };
    match seconds {
        ..0.001 => format!("{:.0}us", seconds * 1e6),
        ..1.0 => format!("{:.0}ms", seconds * 1e3),
        ..60.0 => format!("{seconds:.2}s"),
        ..3600.0 => format!("{}m{:02.0}s", (seconds / 60.0) as u64, seconds % 60.0),
        _ => format!("{}h{:02}m", (seconds / 3600.0) as u64, (seconds % 3600.0 / 60.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_fits() {
        assert_eq!(
            [0, 999, 1000, 999_499, 999_500, 12_345_678].map(bytes),
            ["0 B", "999 B", "1.00 kB", "999 kB", "1.00 MB", "12.3 MB"]
        );
        assert_eq!(rate(1_000_000_000.0), "1.00 Gbit/s");
        assert_eq!([0.0, 0.00001, 0.0123, 0.5].map(percent), ["0%", "0.0010%", "1.23%", "50.0%"]);
        assert_eq!([40, 1500, 2_500_000].map(micros), ["40us", "1.5ms", "2.50s"]);
        assert_eq!([0.0005, 0.25, 12.345, 90.0, 7384.0].map(seconds), ["500us", "250ms", "12.35s", "1m30s", "2h03m"]);
        assert_eq!([59.999, 599.7].map(seconds), ["1m00s", "10m00s"]);
    }
}
