//! From command line, environment and file to options: in this order, the first that says something counts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::argv::{self, Line};
use super::{Cli, file};

/// Options that are about the command itself, and have no place in a file or the environment.
const OF_THE_COMMAND: [&str; 7] =
    ["config", "check_config", "print_config", "completions", "man_page", "help", "version"];

/// What is asked for.
#[derive(Debug)]
pub enum Request {
    /// To record.
    Record(Box<Cli>),
    /// To print this, and no more.
    Print(String),
}

/// Why nothing is done: one line that says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// The command, with the variable of each option that is not one of these.
pub(super) fn command(without_variable: &[String]) -> Command {
    // Where an option is repeated, the last counts, as in Go; lists grow.
    Cli::command().args_override_self(true).mut_args(|arg| {
        let name = arg.get_long().filter(|_| is_configurable(&arg));
        let Some(name) = name.filter(|name| !without_variable.iter().any(|other| other == name)) else { return arg };
        let mut variables = vec![argv::variable(name)];
        variables.extend(arg.get_all_aliases().unwrap_or_default().into_iter().map(argv::variable));
        // An empty variable is as good as none.
        let is_set = |variable: &&String| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
        let variable = variables.iter().find(is_set).or(variables.first()).cloned();
        match variable {
            Some(variable) if !std::env::var_os(&variable).is_some_and(|value| value.is_empty()) => arg.env(variable),
            _ => arg,
        }
    })
}

fn is_configurable(arg: &Arg) -> bool {
    arg.get_long().is_some() && !OF_THE_COMMAND.contains(&arg.get_id().as_str())
}

/// Reads what is asked for. `args` begins with the name of the program.
pub fn load(args: impl IntoIterator<Item = OsString>) -> Result<Request, Refusal> {
    let request = load_again(args)?;
    if let Request::Record(cli) = &request {
        cli.check_files().map_err(Refusal)?;
        if cli.check_config {
            return Ok(Request::Print("the configuration is valid\n".to_owned()));
        }
    }
    Ok(request)
}

/// Reads what is asked for, but not the files that count at the start only.
pub fn load_again(args: impl IntoIterator<Item = OsString>) -> Result<Request, Refusal> {
    let Line { args, emptied } = Line::new(&Cli::command(), args);
    let command = command(&emptied);
    let parse = |args: &[OsString]| command.clone().try_get_matches_from(args);
    let first = match parse(&args) {
        Err(error) if !error.use_stderr() => return Ok(Request::Print(error.to_string())),
        outcome => outcome.map_err(|error| Refusal(one_line(&error)))?,
    };
    let mut lines = HashMap::new();
    let matches = match first.get_one::<PathBuf>("config") {
        None => first,
        Some(path) => {
            let with_file = add_file(&command, &first, path, &args, &emptied, &mut lines)?;
            parse(&with_file).map_err(|error| Refusal(one_line(&error)))?
        }
    };
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| Refusal(one_line(&error)))?;
    let rank = |id: &str| rank(&command, &matches, &lines, id);
    if rank("log_level") > rank("trace") {
        cli.log.forget_trace();
    }
    if rank("anonymize_ip") > rank("anonymize_key") {
        cli.anonymize.forget_key();
    }
    cli.check().map_err(Refusal)?;
    if let Some(shell) = cli.completions {
        return Ok(Request::Print(completions(shell)));
    }
    if cli.man_page {
        return man_page().map(Request::Print);
    }
    if cli.print_config {
        return Ok(Request::Print(effective(&command, &matches, &lines)));
    }
    Ok(Request::Record(Box::new(cli)))
}

/// How much the place counts where an option is given: nowhere, the file, the environment, the command line.
fn rank(command: &Command, matches: &ArgMatches, lines: &HashMap<String, String>, id: &str) -> u8 {
    let name = command.get_arguments().find(|arg| arg.get_id() == id).and_then(Arg::get_long);
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) if name.is_some_and(|name| lines.contains_key(name)) => 1,
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        _ => 0,
    }
}

/// Whether that is the name of an option, or another name of it.
fn is_named(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
}

/// The arguments with those of the file before them, but for options that something else gives. Notes in which line of
/// the file an option is.
fn add_file(
    command: &Command,
    given: &ArgMatches,
    path: &Path,
    args: &[OsString],
    emptied: &[String],
    lines: &mut HashMap<String, String>,
) -> Result<Vec<OsString>, Refusal> {
    let (program, rest) = args.split_first().map_or((None, args), |(first, rest)| (Some(first.clone()), rest));
    let mut all: Vec<OsString> = program.into_iter().collect();
    for entry in file::read(path).map_err(Refusal)? {
        let place = format!("{}:{}", path.display(), entry.line);
        let arg = command.get_arguments().find(|arg| is_configurable(arg) && is_named(arg, &entry.option));
        let arg = arg.ok_or_else(|| Refusal(format!("{place}: there is no option {}", entry.option)))?;
        if entry.is_list && !matches!(arg.get_action(), ArgAction::Append) {
            return Err(Refusal(format!("{place}: {} takes one value, not a list", entry.option)));
        }
        let name = arg.get_long().unwrap_or_default();
        let alone = [OsString::from("tcp-info")].into_iter().chain(entry.arguments.iter().cloned());
        if let Err(error) = command.clone().try_get_matches_from(alone) {
            return Err(Refusal(format!("{place}: {}", one_line(&error).trim_start_matches("error: "))));
        }
        let source = given.value_source(arg.get_id().as_str());
        let is_given = matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        if !is_given && !emptied.iter().any(|emptied| emptied == name) {
            lines.insert(name.to_owned(), place);
            all.extend(entry.arguments);
        }
    }
    all.extend(rest.iter().cloned());
    Ok(all)
}

/// All options as a file that gives them.
fn effective(command: &Command, matches: &ArgMatches, lines: &HashMap<String, String>) -> String {
    file::write(command.get_arguments().filter(|arg| is_configurable(arg)), |arg| {
        let id = arg.get_id().as_str();
        let values: Vec<_> = matches.get_raw(id)?.map(|value| value.to_string_lossy().into_owned()).collect();
        let source = match matches.value_source(id)? {
            ValueSource::EnvVariable => format!("from {}", arg.get_env()?.to_string_lossy()),
            ValueSource::CommandLine => {
                lines.get(arg.get_long()?).map_or("from the command line".to_owned(), |place| format!("from {place}"))
            }
            _ => "default".to_owned(),
        };
        Some((values, source))
    })
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tcp-info", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn man_page() -> Result<String, Refusal> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command(&[])).render(&mut page).map_err(|error| Refusal(error.to_string()))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// What clap says in several lines, without the usage.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let is_said =
        |line: &&str| !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines = text.lines().map(str::trim).filter(is_said);
    let joined = lines.collect::<Vec<_>>().join("; ");
    let joined = joined.trim_start_matches("error: ").replace(":; ", ": ");
    match error.kind() {
        ErrorKind::UnknownArgument => format!("{joined}; see --help"),
        _ => joined,
    }
}

#[cfg(test)]
mod tests {
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
        let line = "tcp-info --output /c --exclude-srcport 9,0010-20,0080 --include-local --anonymize.ip netblock --max-disk 1GiB";
        let Ok(Request::Print(text)) = load_line(&format!("{line} --print-config")) else { panic!("it is printed") };
        assert!(text.contains("exclude-srcport = [9, \"0010-20\", \"0080\"] # from the command line"), "{text}");
        assert!(text.contains("reps = 0 # default"), "{text}");
        let (_file, option) = file(&text);
        assert_eq!(
            format!("{:?}", Cli { config: None, ..cli(&format!("tcp-info {option}")) }),
            format!("{:?}", cli(line))
        );
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
}
