//! The formats that tables are written in.

pub mod bq;
pub mod csv;
pub mod json;
pub mod parquet;
pub mod partitions;
pub mod text;
pub mod tsv;
