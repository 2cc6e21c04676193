//! The variables of the four tables of TCP-ESTATS-MIB that describe a connection: 113, each with what the MIB says of
//! it, where it comes from, and how it is made of a [`Sample`].

mod app;
mod column;
mod datum;
mod path;
mod perf;
mod stack;

use std::fmt;

use crate::Sample;
pub use column::columns;
use column::{cell, kind, phrase, unit};
pub use datum::Datum;
use inetdiag::columns::Column;

/// Tables of the MIB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// `tcpEStatsPerfTable`: performance.
    Perf,
    /// `tcpEStatsPathTable`: what the path is like.
    Path,
    /// `tcpEStatsStackTable`: what TCP does.
    Stack,
    /// `tcpEStatsAppTable`: what the application does.
    App,
    /// `tcpEStatsListenerTable`.
    Listener,
}

/// Types of variables, as the MIB names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// `ZeroBasedCounter32`: goes round at 2³².
    ZeroBasedCounter32,
    /// `ZeroBasedCounter64`.
    ZeroBasedCounter64,
    /// `Counter32`: a sequence number.
    Counter32,
    /// `Gauge32`: stays at its end.
    Gauge32,
    /// `Unsigned32`.
    Unsigned32,
    /// `Integer32`.
    Integer32,
    /// `INTEGER` with names.
    Enumeration,
    /// `TruthValue`.
    TruthValue,
    /// `TcpEStatsNegotiated`.
    TcpEStatsNegotiated,
    /// `OCTET STRING` of one octet.
    OctetString,
    /// `DateAndTime`.
    DateAndTime,
    /// `TimeStamp`, here a date.
    TimeStamp,
}

/// Units, as the MIB names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A number of things, or none.
    None,
    /// `octets`
    Octets,
    /// `seconds`
    Seconds,
    /// `milliseconds`
    Milliseconds,
    /// `microseconds`
    Microseconds,
}

/// What a variable takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Needs {
    /// A poll, and nothing else.
    Poll,
    /// The programs' value.
    Value,
    /// The same, and that segments are looked at.
    Segments,
}

/// How near a variable is to what the MIB defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exactness {
    /// It is that.
    Exact,
    /// What happens between two looks is not seen: a maximum may be higher, a minimum lower, a count larger.
    Sampled,
    /// It is worked out of other things, as its source says.
    Derived,
}

/// One variable.
#[derive(Debug)]
pub struct Variable {
    /// Table it belongs to.
    pub table: Table,
    /// Number in that table.
    pub number: u8,
    /// Name in the MIB, without `tcpEStats` and the table.
    pub name: &'static str,
    /// Type in the MIB.
    pub syntax: Syntax,
    /// Unit in the MIB.
    pub unit: Unit,
    /// What it takes.
    pub needs: Needs,
    /// How near it is to what the MIB defines.
    pub exactness: Exactness,
    /// First kernel that tells it.
    pub since: &'static str,
    /// Where it comes from, and what to know of that.
    pub source: &'static str,
    /// What it means.
    pub meaning: &'static str,
    compute: fn(&Sample) -> Option<Datum>,
}

impl Variable {
    /// What it was at that moment; `None` if that is not known.
    pub fn of(&self, sample: &Sample) -> Option<Datum> {
        (self.compute)(sample)
    }

    /// Name without the prefix that all have: table and name, such as `PerfSegsOut`.
    pub fn short_name(&self) -> String {
        format!("{:?}{}", self.table, self.name)
    }
}

/// Displays the whole name: `tcpEStatsPerfSegsOut`.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcpEStats{:?}{}", self.table, self.name)
    }
}

/// All variables, in the order of the MIB.
///
/// ```
/// assert_eq!(estats::variables().count(), 113);
/// let rtt = estats::variables().find(|variable| variable.short_name() == "PerfSmoothedRTT").unwrap();
/// assert_eq!(rtt.to_string(), "tcpEStatsPerfSmoothedRTT");
/// ```
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    [perf::VARIABLES, path::VARIABLES, stack::VARIABLES, app::VARIABLES].into_iter().flatten()
}

impl Sample {
    /// The variable of that name, as [`Variable::short_name`] has it.
    pub fn get(&self, short_name: &str) -> Option<Datum> {
        variables().find(|variable| variable.short_name() == short_name)?.of(self)
    }
}

/// Declares the variables of a table: meaning; number, name and type; unit; what it takes, exactness, first kernel, source;
/// how it is made.
macro_rules! table {
    ($table:ident { $(
        #[doc = $meaning:literal]
        $number:literal $name:ident: $syntax:ident $unit:ident, $needs:ident $exactness:ident $since:literal $source:literal
        => $compute:expr;
    )* }) => {
        pub(super) static VARIABLES: &[Variable] = &[ $( Variable {
            table: Table::$table,
            number: $number,
            name: stringify!($name),
            syntax: Syntax::$syntax,
            unit: Unit::$unit,
            needs: Needs::$needs,
            exactness: Exactness::$exactness,
            since: $since,
            source: $source,
            meaning: $meaning.trim_ascii(),
            compute: $compute,
        }, )* ];

        pub(super) static COLUMNS: &[Column] = &[ $( Column {
            name: concat!("estats.", stringify!($table), stringify!($name)),
            kind: kind(Syntax::$syntax),
            unit: unit(Unit::$unit),
            since: $since,
            meaning: phrase($meaning),
            value: |row| cell(row, $compute),
        }, )* ];
    };
}

use table;

/// A counter or a gauge that the kernel has as wide as the MIB, or narrower.
fn number(number: impl Into<u64>) -> Option<Datum> {
    Some(Datum::Number(number.into()))
}

/// The lower half of a wide counter: the MIB's goes round.
fn counter32(number: u64) -> Option<Datum> {
    Some(Datum::Number(number & 0xffff_ffff))
}

/// A gauge, which stays at its end.
fn gauge32(number: u64) -> Option<Datum> {
    Some(Datum::Number(number.min(0xffff_ffff)))
}

fn milliseconds(micros: impl Into<u64>) -> Option<Datum> {
    Some(Datum::Milliseconds { micros: micros.into() })
}

/// A maximum or minimum that was seen.
fn seen(value: u32) -> Option<u32> {
    (value != 0).then_some(value)
}

/// The higher one of what the programs saw and what a poll sees, if it sees anything.
fn highest(seen: u32, polled: Option<impl Into<u64>>) -> Option<Datum> {
    gauge32(u64::from(seen).max(polled.map_or(0, Into::into)))
}

#[cfg(test)]
mod tests;
