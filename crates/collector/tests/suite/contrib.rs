//! What is in `contrib/`, by the tools of those that it is for; and that it knows no metric that there is not.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{is_installed, skipped};

fn contrib(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../contrib", path].iter().collect()
}

fn promtool(args: &[&str]) {
    let directory = contrib("prometheus");
    let output = Command::new("promtool").args(args).current_dir(directory).output().expect("is installed");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&text));
}

/// Names in the golden exposition; of histograms, those of their series.
fn told() -> BTreeSet<String> {
    let golden = include_str!("../golden/exposition.txt");
    let series = golden.lines().filter(|line| !line.starts_with('#'));
    series.map(|line| line.split('{').next().unwrap_or(line).to_owned()).collect()
}

/// Names of metrics in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| {
        ["tcpinfo_", "tcp_", "process_", "large_", "netlink_"].iter().any(|start| word.starts_with(start))
    })
}

fn check_names(query: &str) -> usize {
    let told = told();
    names(query).inspect(|name| assert!(told.contains(*name), "there is no metric {name}: {query}")).count()
}

#[test]
fn every_metric_is_described() {
    let described = include_str!("../../../../docs/metrics.md");
    let golden = include_str!("../golden/exposition.txt");
    for name in golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(described.contains(&format!("`{name}`")), "docs/metrics.md does not describe {name}");
    }
}

#[test]
fn rules_are_valid_and_fire_when_they_should() {
    if !is_installed("promtool") {
        return skipped("promtool is not installed");
    }
    promtool(&["check", "rules", "tcp-info.rules.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["test", "rules", "tcp-info.tests.yml"]);
}

#[test]
fn rules_ask_for_metrics_that_there_are() {
    let rules = std::fs::read_to_string(contrib("prometheus/tcp-info.rules.yml")).expect("is there");
    // Of other text only names of alerts and labels look like metrics, and these do not.
    let queries =
        rules.lines().filter(|line| !line.trim_start().starts_with("summary") && !line.contains("description:"));
    let found: usize = queries.map(check_names).sum();
    assert!(found >= 12, "{found}");
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let text = std::fs::read_to_string(contrib("grafana/tcp-info.json")).expect("is there");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let panels = dashboard["panels"].as_array().expect("has panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().expect("is a query")).collect();
    assert!(queries.len() > 30);
    for query in queries {
        assert!(check_names(query) > 0, "{query}");
        assert!(query.contains("instance=~\"$instance\""), "{query}");
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has a number of its own");
}
