//! The command line, the environment, the file, and what of them follows SIGHUP.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use netlab::Pair;
use rustix::process::Signal;

use crate::support::daemon::{Daemon, PATIENCE, program};
use crate::support::traffic::{connections, echo_server};
use crate::support::{archive, require_root};

fn server(pair: &Pair) -> SocketAddr {
    pair.right.run(|| echo_server(TcpListener::bind("10.77.0.2:0").expect("binds")))
}

fn wait_for_files(output: &Path, wanted: usize) {
    let begin = Instant::now();
    while archive::paths(output).len() != wanted {
        assert!(begin.elapsed() < PATIENCE, "{} files", archive::paths(output).len());
        std::thread::yield_now();
    }
}

/// Runs the program to its end, without a host to record. What it said, and how it ended.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_wrong_value_is_one_line_and_exit_code_2_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = dir.path().join("out");
    for wrong in ["-exclude-srcport=70000", "--interval=5", "-reps=x", "--no-such", "-anonymize.ip=some"] {
        let (code, stdout, stderr) = run(Command::new(program()).arg("-output").arg(&output).arg(wrong));
        assert_eq!((code, &*stdout, stderr.lines().count()), (Some(2), "", 1), "{wrong}: {stderr}");
    }
    assert!(!output.exists());
}

/// As the original is started in production, every option of it with a value, and as written in its contract, with none.
#[test]
fn the_command_line_of_the_original_starts_it() {
    require_root!();
    let pair = Pair::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [output, prefix, socket] = ["out", "prefix", "events"].map(|name| dir.path().join(name).display().to_string());
    fs::write(&prefix, "mlab1-abc01_1767000000").expect("writes");
    let with_values = [
        "-prometheusx.listen-address=:9991".to_owned(),
        format!("-output={output}"),
        format!("-uuid-prefix-file={prefix}"),
        format!("-tcpinfo.eventsocket={socket}"),
        "-exclude-srcport=9990,9991,65535".to_owned(),
        "-exclude-dstip=192.0.2.1,2001:db8::1".to_owned(),
        "-anonymize.ip=netblock".to_owned(),
        "-reps=3".to_owned(),
        "-trace=false".to_owned(),
    ];
    let (code, stdout, log) = run(pair.left.command(program()).args(with_values));
    assert_eq!(code, Some(0), "{log}");
    assert!(stdout.contains("nothing was lost") && log.contains("mlab1-abc01_1767000000"), "{stdout}{log}");
    let without =
        ["prometheusx.listen-address", "output", "uuid-prefix-file", "tcpinfo.eventsocket", "exclude-srcport"];
    let without = without.map(|name| format!("-{name}="));
    let mut command = pair.left.command(program());
    let (code, _, log) = run(command
        .args(without)
        .args(["-exclude-dstip=", "-anonymize.ip=none", "-reps", "1"])
        .current_dir(dir.path()));
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn variables_go_before_the_file_and_after_the_command_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("tcp-info.toml");
    fs::write(&file, "interval = '20ms'\nrotation = '3m'\nreps = 5\n").expect("writes");
    let mut command = Command::new(program());
    command.arg("--config").arg(&file).args(["--interval", "30ms", "--print-config"]);
    command.env("INTERVAL", "40ms").env("ROTATION", "4m").env("OUTPUT", "");
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!((code, &*stderr), (Some(0), ""));
    for expected in [
        "interval = \"30ms\" # from the command line",
        "rotation = \"4m\" # from ROTATION",
        &format!("reps = 5 # from {}:3", file.display()),
        "output = \".\" # default",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
}

/// Each option that may be configured, and a value that is not its default.
const OPTIONS: [(&str, &str); 38] = [
    ("output", "/tmp/out"),
    ("spool", "/tmp/spool"),
    ("interval", "25ms"),
    ("reps", "7"),
    ("uuid-prefix-file", "/tmp/prefix"),
    ("rotation", "3m"),
    ("destroy-buffer", "4096"),
    ("flush-age", "2s"),
    ("attributes", "info,cong"),
    ("max-cpu", "20%"),
    ("memory-limit", "64MiB"),
    ("max-disk", "10GiB"),
    ("retain", "30days"),
    ("streams", "eth0"),
    ("estats", "full"),
    ("tcpinfo.eventsocket", "/tmp/events"),
    ("eventsocket-v2", "/tmp/events2"),
    ("prometheusx.listen-address", ":9990"),
    ("web.config.file", "/tmp/web.yml"),
    ("metrics-only", "true"),
    ("include-local", "true"),
    ("exclude-srcport", "22"),
    ("exclude-dstport", "9100-9199"),
    ("exclude-srcip", "192.0.2.7"),
    ("exclude-dstip", "2001:db8::/32"),
    ("exclude-cgroup", "77"),
    ("exclude-state", "syn-sent"),
    ("include-srcport", "443"),
    ("include-dstport", "80-90"),
    ("include-srcip", "10.0.0.0/8"),
    ("include-dstip", "::1"),
    ("include-cgroup", "78"),
    ("include-state", "established"),
    ("anonymize.ip", "netblock"),
    ("anonymize.key", "/tmp/key"),
    ("log-level", "debug"),
    ("log-format", "json"),
    ("trace", "true"),
];

/// What `--print-config` says of one option: its value, and where that is from.
fn effective(text: &str, option: &str) -> Option<(String, String)> {
    let key = if option.contains('.') { format!("{option:?}") } else { option.to_owned() };
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
    let (value, source) = line.rsplit_once(" # ")?;
    Some((value.trim_matches(['[', ']', '"']).to_owned(), source.to_owned()))
}

#[test]
fn each_option_may_be_given_on_the_command_line_in_the_environment_and_in_the_file() {
    let (_, all, _) = run(Command::new(program()).arg("--print-config"));
    for line in all.lines().filter(|line| !line.starts_with("# ")) {
        let Some((key, _)) = line.trim_start_matches('#').split_once(" =") else { continue };
        let key = key.trim_matches('"');
        assert!(OPTIONS.iter().any(|(option, _)| *option == key), "{key} has no value to be tried with");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, key) = (dir.path().join("tcp-info.toml"), dir.path().join("key"));
    fs::write(&key, [7; 32]).expect("writes");
    for (option, value) in OPTIONS {
        let value = if option == "anonymize.key" { key.to_str().expect("text") } else { value };
        let print = |args: &[&str], variable: Option<&str>| {
            let mut command = Command::new(program());
            command.arg("--print-config").args(args);
            // A key is of use for one method only.
            command.args((option == "anonymize.key").then_some("--anonymize.ip=cryptopan"));
            command.envs(variable.map(|variable| (variable, value)));
            let (code, stdout, stderr) = run(&mut command);
            assert_eq!((code, &*stderr), (Some(0), ""), "{option}");
            effective(&stdout, option)
        };
        let from = |source: &str| Some((value.to_owned(), format!("from {source}")));
        for glued in [format!("-{option}={value}"), format!("--{option}={value}")] {
            assert_eq!(print(&[&glued], None), from("the command line"), "{option}");
        }
        // As in Go, truth is glued; and so is what may be left out.
        if value != "true" && option != "estats" {
            assert_eq!(print(&[&format!("-{option}"), value], None), from("the command line"), "{option}");
        }
        let variable = option.to_uppercase().replace(['-', '.'], "_");
        assert_eq!(print(&[], Some(&variable)), from(&variable), "{option}");
        let key = if option.contains('.') { format!("{option:?}") } else { option.to_owned() };
        fs::write(&file, format!("{key} = {value:?}\n")).expect("writes");
        let path = file.to_str().expect("text");
        assert_eq!(print(&["--config", path], None), from(&format!("{path}:1")), "{option}");
    }
}

#[test]
fn what_is_given_as_empty_hides_the_variable_and_the_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("tcp-info.toml");
    fs::write(&file, "exclude-dstip = '192.0.2.1'\n").expect("writes");
    let mut command = Command::new(program());
    command.arg("--config").arg(&file).args(["-exclude-srcport=", "-exclude-dstip", "", "--print-config"]);
    let (code, stdout, stderr) = run(command.env("EXCLUDE_SRCPORT", "22"));
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert_eq!((effective(&stdout, "exclude-srcport"), effective(&stdout, "exclude-dstip")), (None, None));
}

#[test]
fn a_hangup_reads_filters_again_and_nothing_ends() {
    require_root!();
    let pair = Pair::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("tcp-info.toml");
    fs::write(&file, "").expect("writes");
    let (output, config) = (dir.path().join("out"), file.display().to_string());
    let [wanted, unwanted] = [(); 2].map(|()| server(&pair));
    let daemon = Daemon::start(pair.left.command(program()), &output, &["--config", &config]);
    pair.left.run(|| connections(unwanted, 10, 500.0, Duration::ZERO));
    wait_for_files(&output, 10);
    fs::write(&file, format!("exclude-dstport = {}\nlog-level = 'debug'\n", unwanted.port())).expect("writes");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("options are read again");
    pair.left.run(|| connections(unwanted, 10, 500.0, Duration::ZERO));
    pair.left.run(|| connections(wanted, 10, 500.0, Duration::ZERO));
    fs::write(&file, "exclude-dstport = 'x'").expect("writes");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log(&format!("{config}:1: "));
    pair.left.run(|| connections(unwanted, 10, 500.0, Duration::ZERO));
    daemon.stop();
    let ports: Vec<_> = archive::read(&output).iter().map(|file| file.ends().1.port()).collect();
    let count = |server: SocketAddr| ports.iter().filter(|&&port| port == server.port()).count();
    assert_eq!((count(wanted), count(unwanted)), (10, 10), "those of before it was excluded");
}

#[test]
fn the_log_may_be_json() {
    require_root!();
    let pair = Pair::new();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let arguments = ["--log-format", "json", "--reps", "3", "--output"];
    let (code, _, log) = run(pair.left.command(program()).args(arguments).arg(dir.path()));
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}
