//! Columns, as data.

use std::fmt;
use std::io::{self, Write};

use super::Cell;

/// A column of a list of such things.
pub struct Column<T> {
    /// Its name in CSV and JSON, with the unit.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// The value of one of them; `None`: not known.
    pub value: fn(&T) -> Option<Cell>,
}

impl<T> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Columns, each written as `name meaning = value;`.
macro_rules! columns {
    ($( $name:literal $meaning:literal = $value:expr; )*) => {
        &[$( $crate::listing::Column { name: $name, meaning: $meaning, value: $value }, )*]
    };
}
pub(crate) use columns;

/// The column of that name.
pub fn find<T>(columns: &'static [Column<T>], name: &str) -> Option<&'static Column<T>> {
    columns.iter().find(|column| column.name == name.trim())
}

/// Writes the name and the meaning of each, for people.
pub fn list_columns<T>(columns: &[Column<T>], mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{:<24} meaning", "name")?;
    columns.iter().try_for_each(|column| writeln!(out, "{:<24} {}", column.name, column.meaning))?;
    out.flush()
}
