//! Command lines as Go programs take them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::{Arg, Command};

/// A command line as clap takes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The arguments, the name of the program first.
    pub args: Vec<OsString>,
    /// Options given as empty: what the environment or the file say of them does not count.
    pub emptied: Vec<String>,
}

impl Line {
    /// Gives options that Go's `flag` would take their second dash, and glues their values to them: `-output DIR`,
    /// `-reps=3`; those of subcommands, too, and those that there are not, so that the error names them. Options of one letter,
    /// and what is behind `--`, stay as they are. An empty value of an option that `may_be_empty` is none.
    pub fn new(command: &Command, may_be_empty: &[&str], args: impl IntoIterator<Item = OsString>) -> Self {
        let mut line = Self::default();
        let mut args = args.into_iter().peekable();
        let mut only_values = false;
        while let Some(arg) = args.next() {
            only_values |= arg == "--";
            let Some((option, glued)) = go_flag(command, &arg).filter(|_| !only_values) else {
                line.args.push(if !only_values && is_long(command, &arg) { lengthened(&arg) } else { arg });
                continue;
            };
            let takes_value = option.get_action().takes_values() && !option.is_require_equals_set();
            let is_value = |next: &OsString| takes_value && go_flag(command, next).is_none();
            let value = glued.map(OsStr::to_owned).or_else(|| args.next_if(is_value));
            line.push(option.get_long().unwrap_or_default(), value, may_be_empty);
        }
        line
    }

    fn push(&mut self, name: &str, value: Option<OsString>, may_be_empty: &[&str]) {
        let mut arg = OsString::from(format!("--{name}"));
        match value {
            Some(value) if value.is_empty() && may_be_empty.contains(&name) => {
                // The last counts, as in Go.
                let before = format!("--{name}=");
                self.args.retain(|arg| !arg.as_bytes().starts_with(before.as_bytes()));
                return self.emptied.push(name.to_owned());
            }
            Some(value) => {
                arg.push("=");
                arg.push(value);
            }
            None => {}
        }
        self.args.push(arg);
    }
}

/// Whether it has one dash and is not of one letter, nor several of those.
fn is_long(command: &Command, text: &OsStr) -> bool {
    let is_short =
        |letter: char| arguments(command).any(|arg| arg.get_short() == Some(letter)) || "hV".contains(letter);
    let Some([first, _, ..]) = text.as_bytes().strip_prefix(b"-") else { return false };
    first.is_ascii_alphabetic() && !is_short(char::from(*first))
}

fn lengthened(text: &OsStr) -> OsString {
    let mut long = OsString::from("-");
    long.push(text);
    long
}

/// Of the command and its subcommands.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments))
}

/// The option of this command, with one dash or two, and the value that is glued to it.
fn go_flag<'a>(command: &'a Command, text: &'a OsStr) -> Option<(&'a Arg, Option<&'a OsStr>)> {
    let text = text.as_bytes().strip_prefix(b"-")?;
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let end = text.iter().position(|&byte| byte == b'=');
    let name = str::from_utf8(&text[..end.unwrap_or(text.len())]).ok().filter(|name| name.len() > 1)?;
    let is_named = |arg: &&Arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    };
    let arg = arguments(command).find(is_named)?;
    Some((arg, end.map(|end| OsStr::from_bytes(&text[end + 1..]))))
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    fn line(args: &[&OsStr]) -> Line {
        let command = Command::new("x")
            .arg(Arg::new("output").long("output"))
            .arg(Arg::new("ip").long("anonymize.ip"))
            .arg(Arg::new("trace").long("trace").action(ArgAction::SetTrue))
            .arg(Arg::new("verbose").short('v'))
            .arg(Arg::new("events").long("tcpinfo.eventsocket").alias("eventsocket"))
            .subcommand(
                Command::new("sub")
                    .arg(Arg::new("json").long("json").action(ArgAction::SetTrue))
                    .arg(Arg::new("table").long("table")),
            );
        Line::new(&command, &["output", "tcpinfo.eventsocket"], args.iter().map(OsString::from))
    }

    fn lengthen(text: &str) -> String {
        let args: Vec<&OsStr> = text.split(' ').map(OsStr::new).collect();
        line(&args).args.join(OsStr::new(" ")).into_string().expect("text")
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        for (given, expected) in [
            ("x -output a", "x --output=a"),
            ("x -output=a -anonymize.ip=none", "x --output=a --anonymize.ip=none"),
            ("x --output=a=b", "x --output=a=b"),
            ("x -eventsocket s", "x --tcpinfo.eventsocket=s"),
            ("x -v -unknown -o", "x -v --unknown -o"),
            ("x -vo -help -1x", "x -vo -help -1x"),
            ("x sub -json -table perf", "x sub --json --table=perf"),
            ("x -output= -output a", "x --output=a"),
            ("x -output a -output=b -output=", "x"),
            ("x -- -output", "x -- -output"),
            ("x -output  -output a", "x --output=a"),
            ("x -output -1.5", "x --output=-1.5"),
            ("x -output -trace -1", "x --output --trace -1"),
        ] {
            assert_eq!(lengthen(given), expected);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_values_as_well() {
        let value = OsStr::from_bytes(b"-output=\xff");
        assert_eq!(line(&[value]).args, [OsStr::from_bytes(b"--output=\xff")]);
    }

    #[test]
    fn what_is_given_as_empty_is_known() {
        assert_eq!(line(&["-output=", "--eventsocket", ""].map(OsStr::new)).emptied, ["output", "tcpinfo.eventsocket"]);
    }
}
