//! Rows for BigQuery: names, nesting and numbers of the table that the parser of the original fills.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::*;

fn rows(paths: &[&Path]) -> Vec<Value> {
    let args = ["--format", "bq"].map(Path::new);
    let output = run_binary([&args, paths].concat(), b"");
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    output.csv.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Members of all objects, in full.
fn members(value: &Value, prefix: &str, names: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| members(value, &format!("{prefix}.{name}"), names))
        }
        Value::Array(items) => items.iter().take(1).for_each(|item| members(item, &format!("{prefix}[]"), names)),
        _ => names.push(prefix.to_owned()),
    }
}

#[test]
fn each_tenth_snapshot_and_the_last_are_in_the_row_of_their_archive() {
    let lines: Vec<String> = read(testdata("lengths.jsonl")).split_inclusive('\n').map(str::to_owned).collect();
    for count in [1, 2, 10, 11, 12, 21] {
        let records = lines.iter().skip(1).cycle().take(count).map(String::as_str).collect::<String>();
        let (_directory, path) = file("x.jsonl", (lines[0].clone() + &records).as_bytes());
        let [row] = &rows(&[&path])[..] else { panic!("one row") };
        let snapshots = row["raw"]["Snapshots"].as_array().expect("an array");
        assert_eq!(snapshots.len(), count.div_ceil(10) + usize::from(count % 10 != 1), "{count}");
        assert_eq!(snapshots.last(), Some(&row["a"]["FinalSnapshot"]), "{count}");
        assert_eq!(row["parser"]["FileSize"], lines[0].len() + records.len());
        assert_eq!(row["parser"]["Filename"], path.to_str().expect("UTF-8"));
    }
}

#[test]
fn values_are_those_of_the_csv_but_for_what_the_table_has_of_its_own() {
    for name in ["kernels", "attributes", "addresses", "lengths"] {
        let path = testdata(&format!("{name}.jsonl"));
        let text = read(testdata(&format!("{name}.csv")));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().expect("a header").clone();
        let all: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
        let cell =
            |row: &csv::StringRecord, name: &str| row[names.iter().position(|it| it == name).expect(name)].to_owned();
        // Records without attributes are no snapshots.
        let with_attributes: Vec<_> = all.iter().filter(|row| cell(row, "Observed") != "0").collect();
        let rows = rows(&[&path]);
        let Some(last) = with_attributes.last() else {
            assert!(rows.is_empty(), "{name}");
            continue;
        };
        let Some(row) = rows.iter().find(|row| row["id"] == cell(last, "UUID")) else { panic!("{name}: no row") };
        let snapshot = &row["a"]["FinalSnapshot"];
        for (record, ours, theirs) in [
            ("TCPInfo", "TCP.", ""),
            ("SocketMem", "SKMemInfo.", ""),
            ("InetDiagMsg", "IDM.", "IDiag"),
            ("BBRInfo", "BBR.", ""),
        ] {
            for column in names.iter().filter(|column| column.starts_with(ours) && !column.contains("SockID")) {
                let Some(value) = snapshot[record].get(format!("{theirs}{}", &column[ours.len()..])) else { continue };
                if !["TCP.AppLimited", "TCP.SegsIn", "TCP.SegsOut"].contains(&column) {
                    let text = if value.is_null() { String::new() } else { value.to_string() };
                    assert_eq!(text, cell(last, column), "{name}: {column}");
                }
            }
        }
        assert_eq!(row["a"]["SockID"]["SrcIP"], cell(last, "IDM.SockID.Src"));
        assert_eq!(
            row["a"]["SockID"]["Cookie"],
            i64::from_str_radix(&cell(last, "IDM.SockID.Cookie"), 16).unwrap_or(-1)
        );
    }
}

#[test]
fn columns_are_those_of_the_contract_and_no_others() {
    let schema: Value = serde_json::from_str(&read(testdata("../bq/tcpinfo.schema.json"))).expect("JSON");
    let mut names = Vec::new();
    let all = rows(&[&testdata("attributes.jsonl")]);
    members(&all[0], "", &mut names);
    let known = |name: &String| {
        let mut at = &schema;
        for part in name.split('.').skip(1) {
            let (part, is_array) = part.strip_suffix("[]").map_or((part, false), |part| (part, true));
            at = &at["properties"][part];
            at = if is_array { &at["items"] } else { at };
            if at["$ref"] == json!("#/$defs/snapshot") {
                at = &schema["$defs"]["snapshot"];
            }
        }
        !at.is_null()
    };
    assert!(names.len() > 60, "{names:?}");
    assert!(names.iter().all(known), "{names:?}");
}

#[test]
fn the_date_is_that_of_the_tree_and_archives_without_snapshots_have_no_row() {
    let directory = tempfile::tempdir().expect("a directory");
    let day = directory.path().join("2026/01/02");
    fs::create_dir_all(&day).expect("is made");
    let text = read(testdata("lengths.jsonl"));
    fs::write(day.join("a.00000.jsonl.zst"), compress(&text)).expect("writes");
    fs::write(day.join("b.00000.jsonl"), text.lines().next().expect("a header")).expect("writes");
    let rows = rows(&[directory.path()]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["date"], "2026-01-02");
}

#[test]
fn rows_are_valid_by_the_schema_of_the_table() {
    if !has_python_modules("jsonschema") {
        return skipped("python3 with jsonschema is not installed");
    }
    let (directory, path) = file("rows.json", b"");
    let mut args = vec!["--format".to_owned(), "bq".to_owned(), "-o".to_owned(), path.display().to_string()];
    args.extend(
        ["kernels", "attributes", "addresses", "lengths"]
            .map(|name| testdata(&format!("{name}.jsonl")).display().to_string()),
    );
    let output = run_binary(args, b"");
    assert_eq!(output.errors, "");
    let checked = python("bq_rows.py", &[&testdata("../bq/tcpinfo.schema.json"), &path]);
    let rows = read(&path).lines().count();
    assert!(rows >= 3, "{rows}");
    assert_eq!(checked, format!("{rows} rows\n"));
    drop(directory);
}
