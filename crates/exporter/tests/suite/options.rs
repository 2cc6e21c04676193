//! The command line, against the program as it runs.

use std::process::Command;

use netlab::Namespace;

use crate::support::exporter::{Exporter, program};
use crate::support::pages::request;
use crate::support::{require_root, skipped};

/// Runs it to its end. How it ended, and what it said.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Every flag of the original with a value, in both dash styles, with and without an equals sign.
#[test]
fn the_command_line_of_the_original_starts_it() {
    require_root!();
    const FLAGS: [(&str, &str); 11] = [
        ("interface", "lo"),
        ("port", "127.0.0.1:9177"),
        ("packet-filter", "tcp"),
        ("stream-age", "1m30s"),
        ("finalized-age", "30s"),
        ("framesize", "2048"),
        ("blocksize", "262144"),
        ("numblocks", "8"),
        ("debug", ""),
        ("go-metrics", ""),
        ("process-metrics", ""),
    ];
    for (dashes, glue) in [("-", "="), ("-", " "), ("--", "="), ("--", " ")] {
        let host = Namespace::new();
        let args = FLAGS.iter().flat_map(|(name, value)| match (*value, glue) {
            ("", _) => vec![format!("{dashes}{name}")],
            (value, "=") => vec![format!("{dashes}{name}={value}")],
            (value, _) => vec![format!("{dashes}{name}"), value.to_owned()],
        });
        let args: Vec<_> = args.collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let exporter = Exporter::start_as(host.command(program()), &args);
        let (status, body) = host.run(|| request("127.0.0.1:9177", "/metrics")).expect("is answered");
        assert!(status == 200 && body.contains("process_resident_memory_bytes"), "{args:?}");
        let log = exporter.stop();
        assert_eq!(log.matches("no Go program").count(), 1, "{log}");
    }
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    for wrong in ["-interface=", "-stream-age=5", "-numblocks=0", "-promiscuous", "-debug=maybe"] {
        let (code, stdout, stderr) = run(Command::new(program()).arg(wrong));
        assert_eq!((code, &*stdout, stderr.lines().count()), (Some(2), "", 1), "{wrong}: {stderr}");
        assert!(stderr.starts_with("tcp-stream-exporter: "), "{stderr}");
    }
}

/// Capturing on an interface that is not there; with a filter that is none; on a port that is taken.
#[test]
fn what_keeps_it_from_starting_is_one_line_and_exit_code_1() {
    require_root!();
    let host = Namespace::new();
    let _taken = host.run(|| std::net::TcpListener::bind("127.0.0.1:9178").expect("binds"));
    for (args, says) in [
        (&["-interface", "eth7"][..], &["no interface \"eth7\"", "any, lo"][..]),
        (&["-interface=lo", "-packet-filter=tcp and wine"], &["\"tcp and wine\" is wrong"]),
        (&["-interface=lo", "-port=127.0.0.1:9178"], &["cannot serve metrics on 127.0.0.1:9178", "in use"]),
    ] {
        let (code, stdout, stderr) = run(host.command(program()).args(["-numblocks=4"]).args(args));
        assert_eq!((code, &*stdout, stderr.lines().count()), (Some(1), "", 1), "{args:?}: {stderr}");
        assert!(says.iter().all(|part| stderr.contains(part)), "{stderr}");
    }
}

/// The build directory may not be open to others.
fn copy() -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("is ours");
    let copy = directory.path().join("tcp-stream-exporter");
    std::fs::copy(program(), &copy).expect("copies");
    (directory, copy)
}

#[test]
fn without_the_capability_it_says_which_is_missing_and_with_it_alone_it_runs() {
    require_root!();
    if Command::new("setpriv").arg("--version").output().is_err() {
        return skipped("setpriv is not installed");
    }
    let host = Namespace::new();
    let (_directory, program) = copy();
    let nobody = |capabilities: &[&str]| {
        let mut command = host.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]).args(capabilities);
        command.arg(&program);
        command
    };
    let (code, _, stderr) =
        run(nobody(&["--bounding-set=-all", "--inh-caps=-all"]).args(["-interface=lo", "-numblocks=4"]));
    assert!(code == Some(1) && stderr.contains("CAP_NET_RAW"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let raw = ["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw", "--bounding-set=-all,+net_raw"];
    for filter in ["-packet-filter=tcp", "-packet-filter=tcp and port 80"] {
        Exporter::start_as(nobody(&raw), &["-interface=lo", "-numblocks=4", filter]).stop();
    }
}

#[test]
fn help_teaches_and_the_version_is_told() {
    let (code, help, _) = run(Command::new(program()).arg("-help"));
    assert_eq!(code, Some(0));
    for word in ["-interface", "--packet-filter", "Examples:", "CAP_NET_RAW", "Exit codes"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let (code, version, _) = run(Command::new(program()).arg("--version"));
    assert_eq!((code, &*version), (Some(0), concat!("tcp-stream-exporter ", env!("CARGO_PKG_VERSION"), "\n")));
}
