//! A summary for people: units that fit, columns that line up.

use std::io::{self, Write};

use super::Summary;
use super::columns::state;
use super::verdict::Verdict;

/// Rows that are looked at to see how wide columns are.
const LOOKED_AT: usize = 1000;

const HEADER: [&str; 16] = [
    "LOCAL",
    "REMOTE",
    "STATE",
    "TIME",
    "SENT",
    "RECEIVED",
    "GOODPUT",
    "PEAK",
    "RTT MIN/MED/P99",
    "RETRANS",
    "RTO",
    "LOSS",
    "CWND",
    "CC",
    "LIMITED BY",
    "BUSY/RWND/SNDBUF/APP",
];

/// The cells of a connection, with tabs between.
pub(super) fn row(summary: &Summary) -> String {
    let socket = &summary.socket;
    let end = |address: std::net::IpAddr, port: u16| {
        let address = address.to_canonical();
        if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    };
    let info = summary.info.as_ref();
    let known = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let total = |field: fn(&inetdiag::TcpInfo) -> Option<u64>| known(info.and_then(field).map(bytes));
    // That of the direction in which more was moved.
    let (sent, received) = (summary.goodput_sent(), summary.goodput_received());
    let (mean, peak) = if sent.0 >= received.0 { sent } else { received };
    let rtt = [summary.rtt_min(), summary.rtt(0.5), summary.rtt(0.99)].map(|rtt| known(rtt.map(micros)));
    let losses = summary.losses();
    let shares = summary.shares().map(|it| [it.busy, it.rwnd_limited, it.sndbuf_limited, it.app_limited]);
    [
        end(socket.src(), socket.id.idiag_sport.get()),
        end(socket.dst(), socket.id.idiag_dport.get()),
        state(summary) + if summary.is_final { "" } else { "*" },
        seconds(summary.life() as f64 / 1e6),
        total(inetdiag::TcpInfo::bytes_acked),
        total(inetdiag::TcpInfo::bytes_received),
        known(mean.map(rate)),
        known(peak.map(rate)),
        rtt.join("/"),
        known(summary.retransmitted().map(percent)),
        known(losses.map(|(rtos, _)| rtos.to_string())),
        known(losses.map(|(_, episodes)| episodes.to_string())),
        known(summary.cwnd().map(|(least, most)| format!("{least}-{most}"))),
        known(summary.cong.clone()),
        known(summary.verdict().map(|verdict| verdict.name().to_owned())),
        known(shares.map(|shares| shares.map(|share| format!("{:.0}%", share * 100.0)).join("/"))),
    ]
    .join("\t")
}

/// Writes rows so that columns line up: as wide as the first rows need.
#[derive(Debug, Default)]
pub(super) struct Layout {
    widths: Vec<usize>,
    waiting: Vec<String>,
}

impl Layout {
    pub(super) fn write(&mut self, out: &mut impl Write, row: String) -> io::Result<()> {
        if !self.widths.is_empty() {
            return self.line(out, &row);
        }
        self.waiting.push(row);
        if self.waiting.len() < LOOKED_AT { Ok(()) } else { self.finish(out) }
    }

    /// Writes what waits.
    pub(super) fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let header = HEADER.join("\t");
        self.widths = vec![0; HEADER.len()];
        for row in std::iter::once(&header).chain(&waiting) {
            for (width, cell) in self.widths.iter_mut().zip(row.split('\t')) {
                *width = cell.chars().count().max(*width);
            }
        }
        self.line(out, &header)?;
        waiting.iter().try_for_each(|row| self.line(out, row))
    }

    fn line(&self, out: &mut impl Write, row: &str) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in row.split('\t').zip(&self.widths) {
            // A name may be anything: nothing in it moves the cursor.
            let plain = cell.replace(char::is_control, "?");
            line += &format!("{plain:<width$}  ");
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// How many, and how much, in lines.
pub(super) fn verdicts(counts: &[(Verdict, u64)], all: u64) -> String {
    let known = counts.iter().filter(|(_, count)| *count > 0);
    let parts =
        known.map(|(verdict, count)| format!("{verdict} {count} ({})", percent(*count as f64 / all.max(1) as f64)));
    parts.collect::<Vec<_>>().join(", ")
}

/// Bytes, in powers of 1000 as rates are.
pub(super) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, "B")
}

/// Of bytes a second, bits.
pub(super) fn rate(rate: f64) -> String {
    scaled(rate * 8.0, "bit/s")
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

pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".to_owned(),
        percent @ ..0.01 => format!("{percent:.4}%"),
        percent @ ..10.0 => format!("{percent:.2}%"),
        percent => format!("{percent:.1}%"),
    }
}

fn micros(micros: u32) -> String {
    match micros {
        0..1000 => format!("{micros}us"),
        1000..1_000_000 => format!("{:.1}ms", f64::from(micros) / 1e3),
        _ => format!("{:.2}s", f64::from(micros) / 1e6),
    }
}

pub(super) fn seconds(seconds: f64) -> String {
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
        assert_eq!(rate(125_000_000.0), "1.00 Gbit/s");
        assert_eq!([0.0, 0.00001, 0.0123, 0.5].map(percent), ["0%", "0.0010%", "1.23%", "50.0%"]);
        assert_eq!([40, 1500, 2_500_000].map(micros), ["40us", "1.5ms", "2.50s"]);
        assert_eq!([0.0005, 0.25, 12.345, 90.0, 7384.0].map(seconds), ["500us", "250ms", "12.35s", "1m30s", "2h03m"]);
        assert_eq!([59.999, 599.7].map(seconds), ["1m00s", "10m00s"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_names_move_no_cursor() {
        let mut out = Vec::new();
        let mut layout = Layout::default();
        layout.write(&mut out, "a\tlonger than its title\tc\x1b[2J".to_owned()).expect("in memory");
        layout.finish(&mut out).expect("in memory");
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].find("STATE"), lines[1].find("c?[2J"));
    }
}
