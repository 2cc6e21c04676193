//! The tool from the outside, and its library where that is faster.

mod bq;
mod columnar;
mod connections;
mod damage;
mod formats;
mod golden;
mod inputs;
mod output;
mod packets;
mod parallel;
mod process;
mod properties;
mod selection;
mod streams;
mod streams_faults;
mod support;
