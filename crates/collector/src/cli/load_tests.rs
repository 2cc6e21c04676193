use super::*;

fn load_line(line: &str) -> Result<Request, Refusal> {
    load(line.split_whitespace().map(OsString::from))
}

fn cli(line: &str) -> Cli {
    match load_line(line) {
        Ok(Request::Record(cli)) => *cli,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    let Err(Refusal(reason)) = load_line(line) else { panic!("{line} is taken") };
    assert!(!reason.contains('\n'), "{reason}");
    reason
}

/// A file with this text, and an option that names it.
fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("writes");
    let option = format!("--config {}", file.path().display());
    (file, option)
}

#[test]
fn options_of_the_original_are_taken_as_it_takes_them() {
    let prefix = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(prefix.path(), "host_1").expect("writes");
    let line = format!(
        "tcp-info -output=/tmp/x -reps 5 -uuid-prefix-file={} -exclude-srcport=9991,50000 \
         -exclude-dstip=192.0.2.1,2001:db8::1 -anonymize.ip=netblock",
        prefix.path().display()
    );
    let cli = cli(&line);
    assert_eq!((cli.output.to_str(), cli.reps), (Some("/tmp/x"), 5));
    assert_eq!((cli.filters.exclude_srcport.len(), cli.filters.exclude_dstip.len()), (2, 2));
}

#[test]
fn of_what_is_repeated_the_last_counts_and_truth_is_as_in_go() {
    let cli = cli("tcp-info -reps 1 -reps 2 -output a -output b -trace -trace=F --include-local=1");
    assert_eq!((cli.reps, cli.output.to_str(), cli.filters.include_local), (2, Some("b"), true));
    assert_eq!(cli.log.level(), None);
    assert!(refused("tcp-info -trace=maybe").contains("true or false"));
}

#[test]
fn the_command_line_goes_before_the_file() {
    let (_file, option) = file("output = '/f'\nreps = 7\nexclude-srcport = [1, 2]\ninclude-local = true\n");
    let all = cli(&format!("tcp-info {option}"));
    assert_eq!((all.output.to_str(), all.reps, all.filters.include_local), (Some("/f"), 7, true));
    assert_eq!(all.filters.exclude_srcport.len(), 2);
    let some = cli(&format!("tcp-info --output /c --exclude-srcport 9 --include-local=false {option}"));
    assert_eq!((some.output.to_str(), some.reps, some.filters.include_local), (Some("/c"), 7, false));
    assert_eq!(some.filters.exclude_srcport.len(), 1, "a list replaces the other");
}

#[test]
fn what_is_wrong_is_one_line_and_names_the_place() {
    for (line, expected) in [
        ("tcp-info --interval 5", "--interval"),
        ("tcp-info -exclude-srcport=65536", "65536"),
        ("tcp-info --no-such", "--no-such"),
        ("tcp-info --interval off --reps 1", "--reps"),
        ("tcp-info --anonymize.ip cryptopan", "--anonymize.key"),
        ("tcp-info --anonymize.ip x", "netblock"),
        ("tcp-info --config /no/such", "/no/such"),
        ("tcp-info --config /dev/null", "no regular file"),
        ("tcp-info --include-state syn-sent --exclude-state syn-sent", "no state"),
        ("tcp-info surplus", "surplus"),
        ("tcp-info --uuid-prefix-file /no/such", "/no/such"),
        ("tcp-info --output /dev/null", "/dev/null is no directory"),
        ("tcp-info --tcpinfo.eventsocket /no/such/s", "/no/such is no directory"),
        ("tcp-info --eventsocket s --eventsocket-v2 s", "two sockets"),
        ("tcp-info --exclude-cgroup=", "a cgroup is missing"),
        ("tcp-info --interval off --exclude-cgroup 7", "needs polls"),
        ("tcp-info --web.config.file /no/such", "/no/such"),
        ("tcp-info --log-level inof,saver=debug", "--log-level"),
        ("tcp-info --metrics-only --prom=0", "--metrics-only"),
    ] {
        let reason = refused(line);
        assert!(reason.contains(expected), "{line}: {reason}");
    }
    for (text, expected) in [
        ("reps = 1\nno-such = 2\n", ":2: there is no option no-such"),
        ("\nreps = 'many'\n", ":2: "),
        ("reps = 1\nreps = 2\n", ":2: "),
        ("config = '/x'", "no option config"),
        ("[foo]\n", ":1: there is no option foo"),
        ("reps = [1, 2]\n", ":1: reps takes one value"),
    ] {
        let (_file, option) = file(text);
        let reason = refused(&format!("tcp-info {option}"));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn the_level_and_the_method_that_count_are_those_of_the_place_that_does() {
    let (_file, option) =
        file("trace = true\n'anonymize.ip' = 'cryptopan'\n'anonymize.key' = '/no/such'\nprom = '0'\n");
    let cli = cli(&format!("tcp-info --log-level error --anonymize.ip none {option}"));
    assert_eq!((cli.log.level(), cli.listen_address), (Some("error"), Some(super::super::Listen::Off)));
    assert!(refused("tcp-info --anonymize.ip none --anonymize.key /no/such").contains("cryptopan only"));
}

#[test]
fn what_is_printed_as_a_file_says_the_same_again() {
    let line =
        "tcp-info --output /c --exclude-srcport 9,0010-20,0080 --include-local --anonymize.ip netblock --max-disk 1GiB";
    let Ok(Request::Print(text)) = load_line(&format!("{line} --print-config")) else { panic!("it is printed") };
    assert!(text.contains("exclude-srcport = [9, \"0010-20\", \"0080\"] # from the command line"), "{text}");
    assert!(text.contains("reps = 0 # default"), "{text}");
    let (_file, option) = file(&text);
    assert_eq!(format!("{:?}", Cli { config: None, ..cli(&format!("tcp-info {option}")) }), format!("{:?}", cli(line)));
}

#[test]
fn help_completions_and_manual_are_printed() {
    for (line, expected) in [
        ("tcp-info --help", "Filters:"),
        ("tcp-info -help", "Filters:"),
        ("tcp-info --version", "tcp-info 0."),
        ("tcp-info --completions bash", "--exclude-srcport"),
        ("tcp-info --man-page", ".TH"),
        ("tcp-info --check-config", "valid"),
    ] {
        let Ok(Request::Print(text)) = load_line(line) else { panic!("{line}") };
        assert!(text.contains(expected), "{line}: {text}");
    }
}

#[test]
fn variables_are_named_as_by_the_original() {
    assert_eq!(variable("prometheusx.listen-address"), "PROMETHEUSX_LISTEN_ADDRESS");
    assert_eq!(variable("output"), "OUTPUT");
}
