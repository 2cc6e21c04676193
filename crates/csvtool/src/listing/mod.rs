//! Lists of things, a line each: for people, as CSV, or as JSON lines.
//!
//! What a line says is data: [`Column`]s with their names, meanings and values. What people see of it is a row of fewer
//! cells, in units that fit ([`human`]).

mod cell;
mod column;
pub mod human;
mod layout;
mod table;

pub use cell::Cell;
pub(crate) use column::columns;
pub use column::{Column, find, list_columns};
pub use layout::Layout;
pub use table::{Format, Listing, Order, People};
