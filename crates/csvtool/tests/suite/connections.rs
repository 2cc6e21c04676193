//! One row for a connection, whatever the number of its files: the last record, or what all records come to.

use std::fs;
use std::path::Path;

use crate::support::*;

/// An archive of one connection: its header line, and its records.
fn connection() -> (String, Vec<String>) {
    let path = testdata("../archives/loopback.00000.jsonl.zst");
    let text = zstd::decode_all(&*fs::read(path).expect("is there")).expect("is whole");
    let text = String::from_utf8(text).expect("UTF-8");
    let mut lines = text.split_inclusive('\n').map(str::to_owned);
    (lines.next().expect("a header"), lines.collect())
}

/// A tree with a connection in one file, and one in three, of two days, with SEQ 0, 1 and 3; split at these records.
fn tree(splits: [usize; 2]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (header, records) = connection();
    let write = |day: &str, uuid: &str, sequence: u32, records: &[String]| {
        let directory = directory.path().join("2026/01").join(day);
        fs::create_dir_all(&directory).expect("is made");
        let mut metadata: serde_json::Value = serde_json::from_str(&header).expect("JSON");
        metadata["Metadata"]["UUID"] = uuid.into();
        metadata["Metadata"]["Sequence"] = sequence.into();
        let text = format!("{metadata}\n{}", records.concat());
        fs::write(directory.join(format!("{uuid}.{sequence:05}.jsonl.zst")), compress(&text)).expect("writes");
    };
    write("02", "host_1_A", 0, &records);
    write("02", "host_1_B", 0, &records[..splits[0]]);
    write("03", "host_1_B", 1, &records[splits[0]..splits[1]]);
    write("03", "host_1_B", 3, &records[splits[1]..]);
    directory
}

fn path(directory: &tempfile::TempDir) -> String {
    directory.path().display().to_string()
}

/// Rows of a CSV as cells by name.
fn rows(args: &[&str]) -> Vec<std::collections::BTreeMap<String, String>> {
    let output = run_binary(args, b"");
    assert_eq!((output.errors.as_str(), output.code), ("", Some(0)));
    let mut reader = csv::Reader::from_reader(output.csv.as_bytes());
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

#[test]
fn the_last_record_of_each_connection_is_that_of_its_last_file() {
    let (_, records) = connection();
    let directory = tree([5, 9]);
    let all = run_binary([path(&directory)], b"").csv;
    let all: Vec<&str> = all.lines().collect();
    let files: Vec<_> = ["02", "03"].iter().map(|day| directory.path().join("2026/01").join(day)).collect();
    let tar = directory.path().join("all.tgz");
    let packed =
        std::process::Command::new("tar").arg("-czf").arg(&tar).arg("-C").arg(directory.path()).arg("2026").status();
    assert!(packed.expect("tar is there").success());
    let renamed = directory.path().join("all");
    fs::copy(&tar, &renamed).expect("is copied");
    let backwards = [files[1].to_str().expect("UTF-8"), files[0].to_str().expect("UTF-8")];
    for paths in [
        vec![path(&directory) + "/2026"],
        backwards.map(str::to_owned).to_vec(),
        vec![tar.display().to_string()],
        vec![renamed.display().to_string()],
    ] {
        let output = run_binary(["--final".to_owned()].into_iter().chain(paths.clone()), b"");
        let mut lines: Vec<_> = output.csv.lines().collect();
        lines[1..].sort_unstable();
        let mut expected = [all[0], all[records.len()], all[all.len() - 1]];
        expected[1..].sort_unstable();
        assert_eq!(lines, expected, "{paths:?}");
    }
    // Each format has them.
    let args = ["--final", "--columns", "UUID,Sequence", "--format"];
    let jsonl = run_binary([&args[..], &["jsonl", &(path(&directory) + "/2026")]].concat(), b"").csv;
    assert_eq!(jsonl, "{\"UUID\":\"host_1_A\",\"Sequence\":0}\n{\"UUID\":\"host_1_B\",\"Sequence\":3}\n");
}

#[test]
fn a_connection_in_many_files_comes_to_the_same_as_in_one() {
    let (_, records) = connection();
    for splits in [[1, 2], [3, records.len() - 1], [records.len() / 3, records.len() / 2]] {
        let directory = tree(splits);
        let mut found = rows(&["summary", &path(&directory)]);
        assert_eq!(found.len(), 2);
        let (mut one, mut three) = (found.remove(0), found.remove(0));
        assert_eq!((one.remove("uuid"), three.remove("uuid")), (Some("host_1_A".into()), Some("host_1_B".into())));
        assert_eq!((one.remove("files"), three.remove("files")), (Some("1".into()), Some("3".into())));
        // Where a file ends, a tenth of a second begins anew.
        ["send_goodput_peak_bit_s", "recv_goodput_peak_bit_s"].iter().for_each(|name| {
            one.remove(*name);
            three.remove(*name);
        });
        assert_eq!(one, three, "{splits:?}");
    }
}

#[test]
fn a_summary_says_what_the_records_say() {
    let directory = tree([5, 9]);
    let summary = &rows(&["summary", "--uuid", "host_1_A", &path(&directory)])[0];
    let columns = "Timestamp,TCP.BytesAcked,TCP.BytesReceived,TCP.RTT,TCP.MinRTT,TCP.SndCwnd,IDM.SockID.*,CongestionAlgorithm,Final";
    let records = rows(&["--uuid", "host_1_A", "--columns", columns, &path(&directory)]);
    let numbers = |name: &str| records.iter().filter_map(|row| row[name].parse::<u64>().ok()).collect::<Vec<_>>();
    let last = records.last().expect("a record");
    for (ours, theirs) in [
        ("bytes_acked", "TCP.BytesAcked"),
        ("bytes_received", "TCP.BytesReceived"),
        ("src", "IDM.SockID.Src"),
        ("sport", "IDM.SockID.SPort"),
        ("dst", "IDM.SockID.Dst"),
        ("dport", "IDM.SockID.DPort"),
        ("final", "Final"),
    ] {
        assert_eq!(summary[ours], last[theirs], "{ours}");
    }
    // The kernel's last word does not have it.
    assert!(records.iter().any(|row| row["CongestionAlgorithm"] == summary["cong"]) && !summary["cong"].is_empty());
    assert_eq!(summary["records"], records.len().to_string());
    assert_eq!(summary["start_time"].get(..19), records[0]["Timestamp"].get(..19));
    let cwnd = numbers("TCP.SndCwnd");
    assert_eq!(summary["snd_cwnd_min"].parse().ok(), cwnd.iter().min().copied());
    assert_eq!(summary["snd_cwnd_max"].parse().ok(), cwnd.iter().max().copied());
    assert_eq!(
        summary["rtt_min_us"].parse().ok(),
        numbers("TCP.MinRTT").into_iter().filter(|rtt| *rtt < 1 << 31).min()
    );
    let mut rtt: Vec<u64> = numbers("TCP.RTT").into_iter().filter(|rtt| *rtt > 0).collect();
    rtt.sort_unstable();
    let median = rtt[(rtt.len() - 1) / 2] as f64;
    let told: f64 = summary["rtt_median_us"].parse().expect("a number");
    assert!((told - median).abs() <= median / 100.0, "{told} for {median}");
    let shares = ["rwnd_limited_share", "sndbuf_limited_share", "app_limited_share", "unlimited_share"];
    let sum: f64 = shares.iter().map(|name| summary[*name].parse::<f64>().expect("a share")).sum();
    assert!((sum - 1.0).abs() < 0.01, "{sum}");
}

/// So many connections, each with a different number of bytes.
fn connections(directory: &Path, bytes: &[u64]) {
    for (number, bytes) in bytes.iter().enumerate() {
        let mut idm = [0; 72];
        idm[44] = number as u8 + 1;
        let mut info = [0; 248];
        info[120..128].copy_from_slice(&bytes.to_ne_bytes());
        let [idm, info] = [&idm[..], &info].map(crate::properties::base64);
        let text = format!(
            "{{\"Metadata\":{{\"UUID\":\"u{number}\",\"Sequence\":0,\"StartTime\":\"2026-01-02T03:04:05Z\"}}}}\n\
             {{\"Timestamp\":\"2026-01-02T03:04:05Z\",\"RawIDM\":\"{idm}\",\"Attributes\":[null,null,\"{info}\"]}}\n"
        );
        fs::write(directory.join(format!("u{number}.00000.jsonl")), text).expect("writes");
    }
}

/// A connection that receives so much a second, of which a recorder sees ten seconds from this poll on.
fn receiving(poll: Option<u64>, first_bytes: u64) -> String {
    let mut text =
        String::from("{\"Metadata\":{\"UUID\":\"u\",\"Sequence\":0,\"StartTime\":\"2026-01-02T03:04:00Z\"}}\n");
    for second in 0..=10 {
        let mut info = [0; 248];
        info[128..136].copy_from_slice(&(first_bytes + second * 1_000_000).to_ne_bytes());
        let [idm, info] = [&[1; 72][..], &info].map(crate::properties::base64);
        let poll = poll.map(|poll| format!(",\"Poll\":{}", poll + 100 * second)).unwrap_or_default();
        text += &format!(
            "{{\"Timestamp\":\"2026-01-02T03:04:{second:02}Z\",\"RawIDM\":\"{idm}\",\"Attributes\":[null,null,\"{info}\"]{poll}}}\n"
        );
    }
    text
}

#[test]
fn what_was_moved_before_it_was_seen_is_in_no_rate() {
    for (poll, first_bytes, since) in [
        (Some(1), 1 << 40, None),
        (None, 1 << 40, None),
        (Some(500), 0, None),
        (Some(500), 0, Some("2026-01-02T03:04:05Z")),
    ] {
        let (_directory, path) = file("u.00000.jsonl", receiving(poll, first_bytes).as_bytes());
        let mut args = vec!["summary", path.to_str().expect("UTF-8")];
        args.extend(since.into_iter().flat_map(|since| ["--since", since]));
        let row = &rows(&args)[0];
        assert_eq!(
            (row["recv_goodput_bit_s"].as_str(), row["recv_goodput_peak_bit_s"].as_str()),
            ("8000000", "8000000")
        );
        assert_eq!(row["bytes_received"], (first_bytes + 10_000_000).to_string());
    }
}

#[test]
fn a_file_that_is_named_twice_and_files_from_everywhere_make_one_row() {
    let directory = tree([5, 9]);
    let root = path(&directory);
    let tar = directory.path().join("rest.tgz");
    let packed =
        std::process::Command::new("tar").arg("-czf").arg(&tar).arg("-C").arg(&root).arg("2026/01/03").status();
    assert!(packed.expect("tar is there").success());
    let (tree, tar) = (root.clone() + "/2026", tar.display().to_string());
    let expected = rows(&["summary", &tree]);
    let first = root.clone() + "/2026/01/02";
    for paths in [
        vec![tree.as_str(), &tree],
        vec![&tree, &tar],
        vec![&tar, &first],
        vec![&first, &tar],
        vec![&first, &tar, &tree],
    ] {
        let mut found = rows(&[&["summary"], &paths[..]].concat());
        found.sort_by_key(|row| row["uuid"].clone());
        assert_eq!(found, expected, "{paths:?}");
        let output = run_binary([&["--final"], &paths[..]].concat(), b"");
        assert_eq!(output.csv.lines().count(), 3, "{paths:?}");
    }
}

#[test]
fn connections_are_sorted_cut_and_added_up() {
    let directory = tempfile::tempdir().expect("a directory");
    connections(directory.path(), &[30, 10, 200, 9]);
    let uuids = |args: &[&str]| {
        rows(&[&["summary"], args, &[&path(&directory)]].concat())
            .iter()
            .map(|row| row["uuid"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(uuids(&[]), ["u0", "u1", "u2", "u3"]);
    assert_eq!(uuids(&["--top", "2"]), ["u0", "u1"]);
    assert_eq!(uuids(&["--sort", "bytes_acked"]), ["u2", "u0", "u1", "u3"]);
    assert_eq!(uuids(&["--sort", "bytes_acked", "--top", "1", "-j", "1"]), ["u2"]);
    assert_eq!(uuids(&["--sort", "rtt_median_us"]), ["u0", "u1", "u2", "u3"], "none has one");
    let totals = &rows(&["summary", "--totals", &path(&directory)])[0];
    assert_eq!((totals["connections"].as_str(), totals["bytes_acked"].as_str()), ("4", "249"));
    let table = run_binary(["summary", "--format", "table", "--sort", "bytes_acked", &path(&directory)], b"").csv;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("LOCAL") && lines[1].contains("200 B") && lines[4].contains("9 B"), "{table}");
    assert!(table.contains("connections: 4 from 2026-01-02T03:04:05Z") && table.contains("sent 249 B"), "{table}");
    let json = run_binary(["summary", "--format", "jsonl", "--totals", &path(&directory)], b"").csv;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["bytes_acked"], 249);
    let wrong = run_binary(["summary", "--sort", "nothing"], b"");
    assert!(wrong.code == Some(2) && wrong.errors.contains("--list-columns"), "{}", wrong.errors);
    let listed = run_binary(["summary", "--list-columns"], b"").csv;
    assert!(listed.contains("\nverdict ") && listed.lines().count() > 30, "{listed}");
}

#[test]
fn a_bad_line_in_the_middle_costs_a_connection_nothing_else() {
    let (header, mut records) = connection();
    let count = records.len();
    let whole = records.clone();
    records.insert(count / 2, "{oops}\n".to_owned());
    let uuid = "host_1_A";
    let summary = |records: &[String]| {
        let (_directory, path) = file(&format!("{uuid}.00000.jsonl"), (header.clone() + &records.concat()).as_bytes());
        let summary = run_binary(["summary", path.to_str().expect("UTF-8")], b"");
        let last = run_binary(["--final", path.to_str().expect("UTF-8")], b"");
        ((summary.csv, last.csv), (summary.code, last.code))
    };
    let (damaged, codes) = summary(&records);
    assert_eq!((damaged, codes), (summary(&whole).0, (Some(1), Some(1))));
}

#[test]
fn damage_is_told_and_what_is_good_is_summed_up() {
    let directory = tree([5, 9]);
    fs::write(directory.path().join("2026/01/02/bad.00000.jsonl.zst"), b"\x28\xb5\x2f\xfd garbage").expect("writes");
    for args in [&["summary"][..], &["--final"], &["--format", "parquet"], &["--format", "bq"]] {
        let out = directory.path().join("out");
        let output =
            run_binary([args, &["-o", out.to_str().expect("UTF-8"), &(path(&directory) + "/2026")]].concat(), b"");
        assert_eq!(output.code, Some(1), "{args:?}");
        assert!(output.errors.contains("bad.00000.jsonl.zst: line 1 at byte 0"), "{}", output.errors);
        assert!(output.errors.contains("1 of 5 archives are damaged or missing"), "{}", output.errors);
        assert!(out.metadata().expect("is there").len() > 100, "{args:?}");
    }
}
