use super::*;

fn load_args(args: &[&str]) -> Result<Request, Refusal> {
    load(["tcp-stream-exporter"].iter().chain(args).map(OsString::from))
}

fn cli(args: &[&str]) -> Cli {
    match load_args(args) {
        Ok(Request::Export(cli)) => *cli,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// Its name, a value, what becomes of it, and how that is written.
type Flag = (&'static str, &'static str, fn(&Cli) -> String, &'static str);

/// The table of the contract, in both dash styles, with values behind an equals sign and as the next argument.
#[test]
fn options_of_the_original_are_taken_as_it_takes_them() {
    let flags: [Flag; 11] = [
        ("interface", "lo", |cli| cli.interface.join("|"), "lo"),
        ("port", "127.0.0.1:9101", |cli| cli.port.to_string(), "127.0.0.1:9101"),
        ("packet-filter", "tcp and port 80", |cli| cli.packet_filter.clone(), "tcp and port 80"),
        ("stream-age", "1m30s", |cli| format!("{:?}", cli.stream_age), "90s"),
        ("finalized-age", "100ms", |cli| format!("{:?}", cli.finalized_age), "100ms"),
        ("framesize", "4096", |cli| cli.framesize.to_string(), "4096"),
        ("blocksize", "65536", |cli| cli.blocksize.to_string(), "65536"),
        ("numblocks", "16", |cli| cli.numblocks.to_string(), "16"),
        ("debug", "true", |cli| cli.debug.to_string(), "true"),
        ("go-metrics", "T", |cli| cli.go_metrics.to_string(), "true"),
        ("process-metrics", "1", |cli| cli.process_metrics.to_string(), "true"),
    ];
    for (name, value, get, expected) in flags {
        assert_ne!(get(&cli(&[])), expected, "{name}: the default says nothing");
        for dashes in ["-", "--"] {
            assert_eq!(get(&cli(&[&format!("{dashes}{name}={value}")])), expected);
            let is_truth = ["debug", "go-metrics", "process-metrics"].contains(&name);
            let flag = format!("{dashes}{name}");
            let args: &[&str] = if is_truth { &[&flag] } else { &[&flag, value] };
            assert_eq!(get(&cli(args)), expected);
            if is_truth {
                assert_eq!(get(&cli(&[&format!("{flag}=false")])), "false");
            }
        }
    }
}

#[test]
fn without_options_it_is_as_the_original_is() {
    let cli = cli(&["-packet-filter="]);
    assert_eq!((cli.interface.join("|"), cli.port.to_string()), ("eth0".to_owned(), ":9100".to_owned()));
    let options = cli.capture();
    assert_eq!((&*options.filter, options.threads), ("tcp", 1));
    assert_eq!((options.limits.stream_age.as_secs(), options.limits.finalized_age.as_secs()), (300, 60));
    assert_eq!(
        (options.ring.frame_size, options.ring.block_size, options.ring.blocks, options.limits.connections),
        (2048, 262_144, 128, 250_000)
    );
    assert_eq!((cli.choice().most, cli.choice().by), (10_000, By::Bytes));
}

#[test]
fn several_interfaces_are_each_captured_once() {
    let interfaces = |args: &[&str]| cli(args).interface.join("|");
    assert_eq!(interfaces(&["-interface", "a,b", "-interface=c"]), "a|b|c");
    assert_eq!(interfaces(&["-interface=a, b,a"]), "a|b");
    assert_eq!(interfaces(&["-interface=any,any"]), "any");
}

#[test]
fn what_is_wrong_is_one_line() {
    for (args, says) in [
        (&["-interface="][..], "names no interface"),
        (&["-interface=a,any"], "count twice"),
        (&["-port=nowhere"], "no address and port"),
        (&["-port=70000"], "no address and port"),
        (&["-stream-age=5"], "time with its unit"),
        (&["-finalized-age", "0s"], "from 1ms"),
        (&["-framesize=100"], "128 or more"),
        (&["-blocksize=1000"], "page size"),
        (&["-numblocks=0"], "at least one block"),
        (&["-numblocks=many"], "invalid"),
        (&["-debug=perhaps"], "true or false"),
        (&["--export-by=luck"], "bytes"),
        (&["--capture-threads=0"], "1..=64"),
        (&["--max-streams=1"], "2.."),
        (&["--web.config.file=/nowhere"], "No such file"),
        (&["-promiscuous"], "see --help"),
        (&["eth1"], "unexpected"),
    ] {
        let Err(Refusal(reason)) = load_args(args) else { panic!("{args:?} is taken") };
        assert!(reason.contains(says) && !reason.contains('\n'), "{args:?}: {reason}");
    }
}

#[test]
fn help_and_version_are_told_with_one_dash_as_well() {
    for (arg, says) in [
        ("--help", "Examples:"),
        ("-help", "Examples:"),
        ("-h", "Examples:"),
        ("--version", "tcp-stream-exporter 0."),
        ("-version", "tcp-stream-exporter 0."),
    ] {
        let Ok(Request::Print(text)) = load_args(&[arg]) else { panic!("{arg} prints nothing") };
        assert!(text.contains(says), "{arg}: {text}");
    }
}
