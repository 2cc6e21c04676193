//! Records as rows of a table: the columns, as data.
//!
//! A [`Column`] has a name, a type, a unit, the first kernel that sends it, what it means, and the way from a [`Row`] to
//! its [`Value`]. Whatever writes tables (CSV, Arrow, a database) takes them from here, so that all have the same
//! columns.
//!
//! ```
//! use inetdiag::columns::{self, Connection, Row, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/archives/loopback.00000.jsonl.zst");
//! let rtt = columns::find("TCP.RTT").expect("is a column");
//! println!("{} in {}: {}", rtt.name, rtt.unit, rtt.meaning);
//! let mut connection = Connection::default();
//! let mut last = None;
//! for record in inetdiag::open(path)? {
//!     let record = record?;
//!     if let Some(metadata) = record.metadata {
//!         connection = metadata.into(); // holds for the records that follow
//!         continue;
//!     }
//!     let row = Row::new(&record, &connection);
//!     if let Some(Value::Uint(microseconds)) = (rtt.value)(&row) {
//!         last = Some(microseconds);
//!     }
//! }
//! assert!(last.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # Order and names
//!
//! First come the columns of the Go original ([`ORIGINAL`]), under its names and in its order, because people have
//! scripts that count on them; two names that were wrong there are right here. Then comes everything newer ([`NEWER`]).
//!
//! Values are the kernel's own, with these decisions:
//!
//! - Rates, byte totals and times that the original prints as signed 64-bit numbers are signed here too. That makes
//!   the kernel's "unlimited" pacing rate -1, and no real value different. Segment counters, which do pass 2^31, are
//!   unsigned.
//! - `TCP.WScale` is the whole byte with both scales, as in the original; `TCP.SndWScale` and `TCP.RcvWScale` split it.
//! - `TCP.AppLimited` is the one bit of that name, where the original prints the whole byte it lies in; the rest of the
//!   byte is `TCP.FastOpenClientFail`.
//! - `ClassID` is all 32 bits, where the original prints the lowest 8.
//! - `IDM.SockID.Interface` is the interface index, where the original prints its bytes swapped.
//! - v4-mapped addresses are printed as IPv4; any other address by the family of the socket, so that `::` stays `::`.
//! - A record without a time has an empty `Timestamp`.
//! - The kernel's own marks for "none yet" stay as they are: `TCP.MinRTT` 4294967295, `TCP.SndSsThresh` 2147483647.

mod attributes;
mod connection;
mod row;
mod socket;
mod streams;
mod tcp;

use chrono::{DateTime, Datelike, FixedOffset, Timelike};

pub use row::{Connection, Kind, Row, Value};

/// How a cell gets its value; `None` is an empty cell.
pub type ValueOf = for<'a> fn(&'a Row<'a>) -> Option<Value<'a>>;

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in the header, unique.
    pub name: &'static str,
    /// Type of its values.
    pub kind: Kind,
    /// Unit, empty for names, codes and flags.
    pub unit: &'static str,
    /// First Linux release that sends it, empty for what the recorder adds. "2.6" is also said of what is older.
    pub since: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// Gets the value from a record.
    pub value: ValueOf,
}

/// The columns of the original, in its order.
pub const ORIGINAL: [&[Column]; 4] =
    [socket::COLUMNS, attributes::PLAIN, tcp::ORIGINAL, attributes::MEMORY_AND_CONGESTION];

/// The columns the original does not have.
pub const NEWER: [&[Column]; 6] =
    [connection::FIRST, tcp::NEWER, attributes::NEWER, connection::LAST, streams::SENT, streams::RECEIVED];

/// Every column, in the order it is written.
pub fn all() -> impl Iterator<Item = &'static Column> {
    ORIGINAL.into_iter().chain(NEWER).flatten()
}

/// The column of that name, exactly as it is written.
pub fn find(name: &str) -> Option<&'static Column> {
    all().find(|column| column.name == name)
}

/// Whether this is the time that archives hold where there is none: the first moment of year 1.
pub fn is_zero_time(time: &DateTime<FixedOffset>) -> bool {
    let utc = time.naive_utc();
    utc.year() == 1 && utc.ordinal() == 1 && utc.num_seconds_from_midnight() == 0 && utc.nanosecond() == 0
}

/// A table: name, type, unit, since, meaning, and the way to the value.
macro_rules! columns {
    ($( $name:tt $kind:ident $unit:literal $since:literal $meaning:literal = $value:expr; )*) => {
        &[$(
            $crate::columns::Column {
                name: $name,
                kind: $crate::columns::Kind::$kind,
                unit: $unit,
                since: $since,
                meaning: $meaning,
                value: $value,
            },
        )*]
    };
}
use columns;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_unique_and_every_column_explained() {
        let mut names = HashSet::new();
        for column in all() {
            assert!(names.insert(column.name), "{} twice", column.name);
            assert!(!column.meaning.is_empty() && !column.meaning.ends_with('.'), "{}", column.name);
            let since: Vec<_> = column.since.split('.').map(str::parse::<u32>).collect();
            assert!(
                column.since.is_empty() || (since.len() == 2 && since.iter().all(Result::is_ok)),
                "{}",
                column.name
            );
        }
    }
}
