//! From command line, environment and file to options: in this order, the first that says something counts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use program::argv::Line;
use program::errors::one_line;

use super::{Cli, EstatsArgs, file};

/// Options of the original for which an empty value is none.
const MAY_BE_EMPTY: [&str; 7] = [
    "output",
    "uuid-prefix-file",
    "tcpinfo.eventsocket",
    "exclude-srcport",
    "exclude-dstip",
    "prometheusx.listen-address",
    "anonymize.ip",
];

/// Options that are about the command itself, and have no place in a file or the environment.
const OF_THE_COMMAND: [&str; 7] =
    ["config", "check_config", "print_config", "completions", "man_page", "help", "version"];

/// What is asked for.
#[derive(Debug)]
pub enum Request {
    /// To record.
    Record(Box<Cli>),
    /// To show extended statistics.
    Show(Box<EstatsArgs>),
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
        let mut variables = vec![variable(name)];
        variables.extend(arg.get_all_aliases().unwrap_or_default().into_iter().map(variable));
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
    let Line { args, emptied } = Line::new(&Cli::command(), &MAY_BE_EMPTY, args);
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
    if let Some(super::Command::Estats(args)) = cli.command.take() {
        args.check().map_err(Refusal)?;
        return Ok(Request::Show(Box::new(args)));
    }
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

/// The name of the environment variable for an option, as the original derives it: in capitals, with `_` for all that is
/// no letter nor digit.
fn variable(option: &str) -> String {
    option.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
