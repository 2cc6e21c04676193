//! The tool from the outside, and its library where that is faster.

mod damage;
mod golden;
mod process;
mod properties;
mod support;
