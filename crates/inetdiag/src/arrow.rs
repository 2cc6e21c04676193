//! Rows as Arrow record batches, for what works on columns: Parquet, DataFusion, Polars, DuckDB. Feature `arrow`.
//!
//! Types are Arrow's own: numbers are `UInt64` or `Int64`, flags `Boolean`, times `Timestamp(ns, UTC)`, addresses and
//! text `Utf8`. Absent is null. Each field carries what is known of it as metadata: `unit`, `since_kernel` and
//! `description`.
//!
//! ```
//! use inetdiag::arrow::BatchBuilder;
//! use inetdiag::columns::{self, Connection, Row};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/archives/loopback.00000.jsonl.zst");
//! let wanted = ["UUID", "Timestamp", "TCP.RTT"].map(|name| *columns::find(name).expect("is a column"));
//! let mut batch = BatchBuilder::new(wanted.to_vec());
//! let mut connection = Connection::default();
//! for record in inetdiag::open(path)? {
//!     let record = record?;
//!     match record.metadata {
//!         Some(metadata) => connection = metadata.into(),
//!         None => batch.push(&Row::new(&record, &connection)),
//!     }
//! }
//! let batch = batch.finish(); // and begin another one, so that memory stays bounded
//! assert_eq!(batch.num_columns(), 3);
//! assert!(batch.num_rows() > 0);
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::columns::{Column, Kind, Row, Value};

const UTC: &str = "UTC";

/// The schema of a table of these columns.
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn field(column: &Column) -> Field {
    let data_type = match column.kind {
        Kind::Uint | Kind::Hex => DataType::UInt64,
        Kind::Int => DataType::Int64,
        Kind::Flag => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
        Kind::Address | Kind::Text => DataType::Utf8,
    };
    let about = [("unit", column.unit), ("since_kernel", column.since), ("description", column.meaning)];
    let known = about.into_iter().filter(|(_, text)| !text.is_empty());
    let metadata: HashMap<_, _> = known.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
    Field::new(column.name, data_type, true).with_metadata(metadata)
}

/// Collects rows, and makes batches of them.
#[derive(Debug)]
pub struct BatchBuilder {
    columns: Vec<Column>,
    cells: Vec<Cells>,
    schema: SchemaRef,
    rows: usize,
}

impl BatchBuilder {
    /// Of these columns, without rows yet.
    pub fn new(columns: Vec<Column>) -> Self {
        let cells = columns.iter().map(|column| Cells::new(column.kind)).collect();
        let schema = schema(&columns);
        Self { columns, cells, schema, rows: 0 }
    }

    /// The schema that all its batches have.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row<'_>) {
        for (column, cells) in self.columns.iter().zip(&mut self.cells) {
            cells.push((column.value)(row));
        }
        self.rows += 1;
    }

    /// The rows since the last batch, as a batch.
    pub fn finish(&mut self) -> RecordBatch {
        let columns = self.cells.iter_mut().map(Cells::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(self.schema(), columns, &options)
            .expect("types are those of the schema, and each row has appended to each column")
    }
}

/// The values of one column.
#[derive(Debug)]
enum Cells {
    Uint(UInt64Builder),
    Int(Int64Builder),
    Flag(BooleanBuilder),
    Time(TimestampNanosecondBuilder),
    Text(StringBuilder),
}

impl Cells {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Uint | Kind::Hex => Self::Uint(UInt64Builder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Flag => Self::Flag(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampNanosecondBuilder::new().with_timezone(UTC)),
            Kind::Address | Kind::Text => Self::Text(StringBuilder::new()),
        }
    }

    #[inline]
    fn push(&mut self, value: Option<Value<'_>>) {
        match (self, value) {
            (Self::Uint(cells), Some(Value::Uint(number) | Value::Hex(number))) => cells.append_value(number),
            (Self::Uint(cells), _) => cells.append_null(),
            (Self::Int(cells), Some(Value::Int(number))) => cells.append_value(number),
            (Self::Int(cells), _) => cells.append_null(),
            (Self::Flag(cells), Some(Value::Flag(flag))) => cells.append_value(flag),
            (Self::Flag(cells), _) => cells.append_null(),
            // 64 bits of nanoseconds hold the years 1677 to 2262.
            (Self::Time(cells), Some(Value::Time(time))) => cells.append_option(time.timestamp_nanos_opt()),
            (Self::Time(cells), _) => cells.append_null(),
            (Self::Text(cells), Some(Value::Text(text))) => cells.append_value(String::from_utf8_lossy(&text)),
            (Self::Text(cells), Some(Value::Address(address))) => {
                // Writing to memory does not fail.
                let _ = write!(cells, "{address}");
                cells.append_value("");
            }
            (Self::Text(cells), _) => cells.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Uint(cells) => Arc::new(cells.finish()),
            Self::Int(cells) => Arc::new(cells.finish()),
            Self::Flag(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
        }
    }
}
