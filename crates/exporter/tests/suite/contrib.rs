//! What is in `contrib/`, by the tools of those that it is for; and that it and the page know all metrics, and no others.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::support::exporter::program;
use crate::support::{is_installed, skipped};

fn contrib(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../contrib", path].iter().collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(contrib(path)).expect("is there")
}

fn promtool(args: &[&str]) {
    let output = Command::new("promtool").args(args).current_dir(contrib("prometheus")).output().expect("is installed");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&text));
}

/// Metrics of the golden exposition.
fn told() -> BTreeSet<&'static str> {
    let golden = include_str!("../golden/exposition.txt");
    golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[test]
fn every_metric_is_described() {
    let described = include_str!("../../../../docs/streams.md");
    for name in told() {
        // Totals are described together, each by the name of its counter.
        let counter = name.strip_prefix("tcp_streams_").and_then(|rest| rest.strip_suffix("_total"));
        let is_described = |name: &str| described.contains(&format!("`{name}`"));
        assert!(is_described(name) || counter.is_some_and(is_described), "docs/streams.md does not describe {name}");
    }
}

#[test]
fn rules_are_valid_and_fire_when_they_should() {
    if !is_installed("promtool") {
        return skipped("promtool is not installed");
    }
    promtool(&["check", "rules", "tcp-stream-exporter.rules.yml"]);
    promtool(&["check", "config", "tcp-stream-exporter.yml"]);
    promtool(&["test", "rules", "tcp-stream-exporter.tests.yml"]);
}

#[test]
fn rules_ask_for_metrics_that_there_are() {
    let rules = read("prometheus/tcp-stream-exporter.rules.yml");
    let told = told();
    let queries = rules.lines().filter(|line| !line.contains("summary:") && !line.contains("description:"));
    let words = queries.flat_map(|line| line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
    let names: Vec<_> = words.filter(|word| word.starts_with("tcp_") || word.starts_with("capture_")).collect();
    assert!(names.len() >= 6, "{names:?}");
    names.iter().for_each(|name| assert!(told.contains(name), "there is no metric {name}"));
}

/// Wherever the program is.
#[test]
fn systemd_takes_the_unit() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        return skipped("systemd-analyze is not installed");
    };
    assert!(version.status.success());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let unit = directory.path().join("tcp-stream-exporter.service");
    let text = read("systemd/tcp-stream-exporter.service");
    let placed = text.replace("ExecStart=/usr/bin/tcp-stream-exporter ", &format!("ExecStart={} ", program()));
    assert_ne!(placed, text);
    std::fs::write(&unit, placed).expect("writes");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().expect("starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // Of other units of this machine it may have something to say.
    let of_ours: Vec<_> = said.lines().filter(|line| line.contains("tcp-stream-exporter")).collect();
    assert!(of_ours.is_empty(), "{said}");
}

/// A shell reads it as systemd does.
#[test]
fn the_environment_file_gives_options_that_are_taken() {
    let file = contrib("systemd/tcp-stream-exporter.default");
    let script = format!(". {}; exec {} $STREAM_EXPORTER_PARAMETERS --version", file.display(), program());
    let output = Command::new("sh").args(["-c", &script]).output().expect("there is a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
