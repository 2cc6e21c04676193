//! Command lines as the Go original takes them.

use std::ffi::OsString;

use clap::Command;

/// Options of the original for which an empty value is none.
const MAY_BE_EMPTY: [&str; 8] = [
    "output",
    "uuid-prefix-file",
    "tcpinfo.eventsocket",
    "exclude-srcport",
    "exclude-dstip",
    "prometheusx.listen-address",
    "prom",
    "anonymize.ip",
];

/// Gives options that Go's `flag` would take their second dash: `-output DIR`, `-reps=3`. Those of one letter, and what
/// is behind `--`, stay as they are.
pub(super) fn with_two_dashes(command: &Command, args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut only_values = false;
    let mut lengthened: Vec<OsString> = Vec::new();
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        only_values |= arg == "--";
        let text = arg.to_str().filter(|_| !only_values);
        let Some((name, value)) = text.and_then(|text| go_flag(command, text)) else {
            lengthened.push(arg);
            continue;
        };
        match value {
            Some("") if MAY_BE_EMPTY.contains(&name) => {}
            None if MAY_BE_EMPTY.contains(&name) && args.next_if(|value| value.is_empty()).is_some() => {}
            Some(value) => lengthened.push(format!("--{name}={value}").into()),
            None => lengthened.push(format!("--{name}").into()),
        }
    }
    lengthened
}

/// The name of an option of this command, with one dash or two, and the value that is glued to it.
fn go_flag<'a>(command: &Command, text: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let text = text.strip_prefix('-')?;
    let text = text.strip_prefix('-').unwrap_or(text);
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let is_known = command.get_arguments().any(|arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(name) || aliases.contains(&name)
    });
    (is_known && name.len() > 1).then_some((name, value))
}

/// The name of the environment variable for an option, as the original derives it: in capitals, with `_` for all that is
/// no letter nor digit.
pub(super) fn variable(option: &str) -> String {
    option.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn lengthen(line: &str) -> String {
        let command = Command::new("x")
            .arg(Arg::new("output").long("output"))
            .arg(Arg::new("ip").long("anonymize.ip"))
            .arg(Arg::new("verbose").short('v'))
            .arg(Arg::new("events").long("eventsocket").alias("tcpinfo.eventsocket"));
        let args = line.split(' ').map(OsString::from);
        with_two_dashes(&command, args).join(std::ffi::OsStr::new(" ")).into_string().expect("text")
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        for (given, expected) in [
            ("x -output a", "x --output a"),
            ("x -output=a -anonymize.ip=none", "x --output=a --anonymize.ip=none"),
            ("x --output=a=b", "x --output=a=b"),
            ("x -tcpinfo.eventsocket s", "x --tcpinfo.eventsocket s"),
            ("x -v -unknown -o", "x -v -unknown -o"),
            ("x -output= -output a", "x --output a"),
            ("x -- -output", "x -- -output"),
            ("x -output  -output a", "x --output a"),
            ("x -1.5", "x -1.5"),
        ] {
            assert_eq!(lengthen(given), expected);
        }
    }

    #[test]
    fn variables_are_named_as_by_the_original() {
        assert_eq!(variable("prometheusx.listen-address"), "PROMETHEUSX_LISTEN_ADDRESS");
        assert_eq!(variable("output"), "OUTPUT");
    }
}
