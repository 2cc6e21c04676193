//! Variables as columns of tables.

use chrono::DateTime;
use inetdiag::columns::{Column, Kind, Row, Value};

use super::{Datum, Syntax, Unit};
use crate::{Sample, flags};

/// Whether the counts are those of the whole connection, which no variable of the MIB says.
static PARTIAL: Column = Column {
    name: "estats.Partial",
    kind: Kind::Flag,
    unit: "",
    since: "5.15",
    meaning: "Whether the connection was open before: the programs count from PerfStartTimeStamp on",
    value: |row| {
        let value = row.extension(|row| Sample::of_row(row))?.value?;
        Some(Value::Flag(value.has(flags::PARTIAL)))
    },
};

/// `estats.Partial`, and the variables as columns, `estats.PerfSegsOut` and so on, in the order of the MIB. What the MIB has in
/// milliseconds is in microseconds, as the kernel has it; a [`Datum::Code`] is its name.
///
/// ```
/// let column = estats::columns().find(|column| column.name == "estats.PathSumRTT").unwrap();
/// assert_eq!((column.unit, column.since), ("us", "5.15"));
/// ```
pub fn columns() -> impl Iterator<Item = &'static Column> {
    use super::{app, path, perf, stack};
    let variables = [perf::COLUMNS, path::COLUMNS, stack::COLUMNS, app::COLUMNS].into_iter().flatten();
    std::iter::once(&PARTIAL).chain(variables)
}

/// The value in a row.
pub(super) fn cell<'a>(row: &'a Row<'a>, compute: fn(&Sample) -> Option<Datum>) -> Option<Value<'a>> {
    let sample = row.extension(|row| Sample::of_row(row))?;
    Some(match compute(sample)? {
        Datum::Number(number) | Datum::Milliseconds { micros: number } => Value::Uint(number),
        Datum::Integer(number) => Value::Int(number.into()),
        Datum::Truth(truth) => Value::Flag(truth),
        Datum::Code(_, name) => name.into(),
        Datum::Octet(octet) => Value::Uint(octet.into()),
        Datum::Date(nanoseconds) => {
            Value::Time(DateTime::from_timestamp_nanos(nanoseconds.try_into().ok()?).fixed_offset())
        }
    })
}

/// The type of those values.
pub(super) const fn kind(syntax: Syntax) -> Kind {
    match syntax {
        Syntax::DateAndTime | Syntax::TimeStamp => Kind::Time,
        Syntax::TruthValue => Kind::Flag,
        Syntax::Enumeration | Syntax::TcpEStatsNegotiated => Kind::Text,
        Syntax::Integer32 => Kind::Int,
        _ => Kind::Uint,
    }
}

/// Their unit.
pub(super) const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Octets => "bytes",
        Unit::Seconds => "s",
        Unit::Milliseconds | Unit::Microseconds => "us",
    }
}

/// A meaning as columns have it: without a full stop.
pub(super) const fn phrase(meaning: &'static str) -> &'static str {
    let meaning = meaning.trim_ascii();
    match meaning.as_bytes() {
        [.., b'.'] => meaning.split_at(meaning.len() - 1).0,
        _ => meaning,
    }
}

#[cfg(test)]
mod tests {
    use inetdiag::columns::Connection;
    use inetdiag::{ArchivalRecord, InetDiagMsg};
    use zerocopy::{FromZeros, IntoBytes};

    use super::*;
    use crate::RawValue;

    #[test]
    fn every_variable_is_a_column_of_its_type() {
        let mut raw = RawValue::new_zeroed();
        // All that can be known is; no number is what stands for none.
        raw.as_mut_bytes().fill(1);
        (raw.version, raw.size) = (crate::VERSION, size_of::<RawValue>() as u32);
        raw.flags = !crate::flags::SILENT;
        let estats = Some(raw.as_bytes().into());
        let record = ArchivalRecord { raw_idm: Some(InetDiagMsg::new_zeroed()), estats, ..ArchivalRecord::default() };
        let connection = Connection::default();
        let row = Row::new(&record, &connection);
        let mut known = 0;
        let (partial, variables) = (columns().take(1), || columns().skip(1));
        assert!(partial.map(|column| (column.value)(&row)).eq([Some(Value::Flag(true))]));
        for (column, variable) in variables().zip(crate::variables()) {
            assert_eq!(column.name, format!("estats.{}", variable.short_name()));
            assert!(!column.meaning.is_empty() && !column.meaning.ends_with('.'), "{}", column.name);
            if let Some(value) = (column.value)(&row) {
                assert_eq!(value.kind(), column.kind, "{}", column.name);
                known += 1;
            }
        }
        assert!(known > 45, "{known} of {}", variables().count());
        assert_eq!(variables().count(), crate::variables().count());
    }
}
