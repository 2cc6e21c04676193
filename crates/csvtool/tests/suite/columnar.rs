//! Parquet: the values of the CSV, typed; read back here, and by pyarrow and DuckDB where those are installed.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::*;

const ALL: [&str; 5] = ["kernels", "addresses", "attributes", "lengths", "streams"];

/// Cells of a column as the CSV has them.
fn cells(batch: &RecordBatch, column: usize) -> Vec<String> {
    let array = batch.column(column);
    let name = batch.schema_ref().field(column).name().clone();
    let cell = |row: usize| match array.data_type() {
        _ if array.is_null(row) => String::new(),
        DataType::UInt64 if name.ends_with("Cookie") => format!("{:X}", array.as_primitive::<UInt64Type>().value(row)),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => u8::from(array.as_boolean().value(row)).to_string(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampNanosecondType>().value(row).to_string(),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        other => panic!("{name}: {other}"),
    };
    (0..array.len()).map(cell).collect()
}

/// Times of the CSV as the file has them.
fn nanoseconds(cell: &str) -> String {
    let time = chrono::DateTime::parse_from_rfc3339(cell);
    time.map_or_else(|_| cell.to_owned(), |time| time.timestamp_nanos_opt().expect("in range").to_string())
}

fn read_back(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("is there")).expect("is Parquet");
    let names = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut columns = Vec::new();
    for batch in reader.build().expect("is Parquet") {
        let batch = batch.expect("is whole");
        columns.resize(batch.num_columns(), Vec::new());
        columns.iter_mut().enumerate().for_each(|(at, column)| column.extend(cells(&batch, at)));
    }
    (names, columns)
}

fn written(args: &[&str], paths: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("table.parquet");
    let output = run_binary([args, &["--format", "parquet", "-o", path.to_str().expect("UTF-8")], paths].concat(), b"");
    assert_eq!((output.csv.as_str(), output.errors.as_str(), output.code), ("", "", Some(0)));
    (directory, path)
}

#[test]
fn each_value_is_the_one_of_the_csv() {
    for name in ALL {
        let (_directory, path) = written(&[], &[testdata(&format!("{name}.jsonl")).to_str().expect("UTF-8")]);
        let (names, columns) = read_back(&path);
        let text = read(testdata(&format!("{name}.csv")));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(names, reader.headers().expect("a header").iter().collect::<Vec<_>>());
        let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
        for (at, column) in columns.iter().enumerate() {
            let is_time = ["Timestamp", "StartTime"].contains(&names[at].as_str());
            let cells = rows.iter().map(|row| if is_time { nanoseconds(&row[at]) } else { row[at].to_owned() });
            assert_eq!(*column, cells.collect::<Vec<_>>(), "{name}: {}", names[at]);
        }
    }
}

#[test]
fn columns_may_be_chosen_and_an_empty_table_has_them_too() {
    let archive = testdata("kernels.jsonl");
    let (_directory, path) =
        written(&["--columns", "UUID,TCP.RTT", "--port", "1"], &[archive.to_str().expect("UTF-8")]);
    let (names, columns) = read_back(&path);
    assert_eq!(names, ["UUID", "TCP.RTT"]);
    assert!(columns.iter().all(Vec::is_empty));
}

/// An archive with a record of each of these days.
fn of_days(days: &[&str]) -> String {
    let line = |day: &&str| {
        let idm = crate::properties::base64(&[1; 72]);
        format!("{{\"Timestamp\":\"{day}T12:00:00Z\",\"RawIDM\":\"{idm}\",\"Attributes\":[null]}}\n")
    };
    days.iter().map(line).collect()
}

#[test]
fn partitions_have_the_rows_of_their_date() {
    let days = ["2026-01-02", "2026-01-03", "2026-01-02", "2026-01-04", "2026-01-05", "2026-01-02", "0001-01-01"];
    let text = of_days(&days).replace("0001-01-01T12", "0001-01-01T00");
    let (directory, archive) = file("days.jsonl", text.as_bytes());
    let out = directory.path().join("out");
    let args =
        ["--format", "parquet", "--partition", "-o", out.to_str().expect("UTF-8"), archive.to_str().expect("UTF-8")];
    let output = run_binary(args, b"");
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    let mut rows = 0;
    for partition in fs::read_dir(&out).expect("is there") {
        let partition = partition.expect("is there").path();
        let name = partition.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        for part in fs::read_dir(&partition).expect("is there") {
            let (names, columns) = read_back(&part.expect("is there").path());
            let at = names.iter().position(|name| name == "Timestamp").expect("is there");
            for time in &columns[at] {
                let date = match time.parse() {
                    Ok(time) => format!("date={}", chrono::DateTime::from_timestamp_nanos(time).date_naive()),
                    Err(_) => "date=__HIVE_DEFAULT_PARTITION__".to_owned(),
                };
                assert_eq!(date, name);
                rows += 1;
            }
        }
    }
    assert_eq!(rows, days.len());
    // What is there already is not added to, nor replaced.
    let output = run_binary(args, b"");
    assert_eq!(output.code, Some(1));
    assert!(output.errors.contains("there is something in it; name a new directory"), "{}", output.errors);
    assert_eq!(fs::read_dir(directory.path()).expect("is there").count(), 2);
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let archive = testdata("kernels.jsonl");
    let archive = archive.to_str().expect("UTF-8");
    for args in [&["--format", "parquet", "-o", "/dev/full/x"][..], &["--format", "bq", "-o", "/proc/x"]] {
        let output = run_binary([args, &[archive]].concat(), b"");
        assert_eq!(output.code, Some(1));
        assert!(output.errors.contains("cannot write the table: /"), "{}", output.errors);
    }
    let full = Command::new("sh")
        .args(["-c", &format!("{} --format parquet {archive} > /dev/full", env!("CARGO_BIN_EXE_csvtool"))])
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&full.stderr).contains("No space left on device"), "{full:?}");
    assert_eq!(full.status.code(), Some(1));
}

#[test]
fn dates_in_any_order_are_one_file_each() {
    let days: Vec<String> = (0..300).map(|number| format!("2026-01-{:02}", 1 + number * 7 % 30)).collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    let (directory, archive) = file("days.jsonl", of_days(&days).as_bytes());
    let out = directory.path().join("out");
    let args = ["--columns", "Timestamp,UUID,UUID", "--format", "parquet", "--partition", "-o"];
    let output =
        run_binary([&args, &[out.to_str().expect("UTF-8"), archive.to_str().expect("UTF-8")][..]].concat(), b"");
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    let mut rows = 0;
    for partition in fs::read_dir(&out).expect("is there") {
        let files: Vec<_> = fs::read_dir(partition.expect("is there").path()).expect("is there").collect();
        assert_eq!(files.len(), 1);
        let (names, columns) = read_back(&files[0].as_ref().expect("is there").path());
        assert_eq!(names, ["Timestamp", "UUID"]);
        rows += columns[0].len();
    }
    assert_eq!(rows, days.len());
}

#[test]
fn options_that_do_not_go_together_are_told() {
    for (args, says) in [
        (&["--format", "bq", "--columns", "UUID"][..], "leave --columns out"),
        (&["--format", "bq", "--final"], "leave --final and --every out"),
        (&["-j", "1", "summary", "x"], "options go behind the command"),
        (&["--partition"], "--partition is for --format parquet"),
        (&["--partition", "--format", "parquet"], "-o DIRECTORY"),
    ] {
        let output = run_binary(args, b"");
        assert!(output.code == Some(2) && output.errors.contains(says), "{args:?}: {}", output.errors);
    }
}

#[test]
fn pyarrow_and_duckdb_read_what_the_csv_says() {
    if !has_python_modules("pyarrow, duckdb") {
        return skipped("python3 with pyarrow and duckdb is not installed");
    }
    let archives = ALL.map(|name| testdata(&format!("{name}.jsonl")).to_str().expect("UTF-8").to_owned());
    let archives: Vec<&str> = archives.iter().map(String::as_str).collect();
    let (directory, path) = written(&[], &archives);
    let csv = directory.path().join("table.csv");
    run_binary([&["-o", csv.to_str().expect("UTF-8")], &archives[..]].concat(), b"");
    let checked = python("parquet_equals_csv.py", &[&path, &csv]);
    assert!(checked.contains("rows; columns: {'numbers': 208,"), "{checked}");
}
