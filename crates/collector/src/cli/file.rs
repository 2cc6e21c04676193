//! The configuration file: TOML, whose keys are the names of the options.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What one line of the file says, as arguments of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name of the option.
    pub(super) option: String,
    pub(super) arguments: Vec<OsString>,
    /// Whether it is a list in the file.
    pub(super) is_list: bool,
    pub(super) line: usize,
}

/// Reads a file. An error is one line that names the file, the line in it, and what is wrong.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let problem = |what: &dyn std::fmt::Display| format!("cannot read {}: {what}", path.display());
    // It is read again on SIGHUP: a pipe would be empty by then, or waited for.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Err(problem(&"it is no regular file"));
    }
    let text = fs::read_to_string(path).map_err(|error| problem(&error))?;
    entries(&text).map_err(|(line, reason)| format!("{}:{line}: {reason}", path.display()))
}

fn entries(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let document = DeTable::parse(text)
        .map_err(|error| (line_of(error.span().map_or(0, |span| span.start)), error.message().replace('\n', ", ")))?;
    let mut found = Vec::new();
    collect(document.get_ref(), "", &mut found).map_err(|(at, reason)| (line_of(at), reason))?;
    // Tables come by name; what is told of them is to come by line.
    found.sort_by_key(|found| found.at);
    let entry = |Found { option, arguments, is_list, at }| Entry { option, arguments, is_list, line: line_of(at) };
    Ok(found.into_iter().map(entry).collect())
}

/// An option, its arguments, and where it stands.
struct Found {
    option: String,
    arguments: Vec<OsString>,
    is_list: bool,
    at: usize,
}

/// Options whose names have dots may be written as tables: TOML makes no difference.
fn collect(table: &DeTable<'_>, prefix: &str, found: &mut Vec<Found>) -> Result<(), (usize, String)> {
    for (key, value) in table {
        let option = format!("{prefix}{}", key.get_ref());
        let at = key.span().start;
        let argument = |value: &Spanned<DeValue<'_>>| {
            let text = scalar(value.get_ref()).ok_or((at, format!("{option}: this kind of value means nothing")))?;
            Ok(format!("--{option}={text}").into())
        };
        let arguments = match value.get_ref() {
            DeValue::Table(inner) if inner.is_empty() => return Err((at, format!("there is no option {option}"))),
            DeValue::Table(inner) => {
                collect(inner, &format!("{option}."), found)?;
                continue;
            }
            DeValue::Array(values) => values.iter().map(argument).collect::<Result<_, _>>()?,
            _ => vec![argument(value)?],
        };
        let is_list = matches!(value.get_ref(), DeValue::Array(_));
        found.push(Found { option, arguments, is_list, at });
    }
    Ok(())
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(is_true) => Some(is_true.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// A file that gives these options their values, and says where each is from; one without a value is a comment.
pub(super) fn write<'a>(
    options: impl Iterator<Item = &'a Arg>,
    value: impl Fn(&Arg) -> Option<(Vec<String>, String)>,
) -> String {
    let mut text = String::new();
    for arg in options {
        let Some(option) = arg.get_long() else { continue };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let key = if option.contains('.') { format!("{option:?}") } else { option.to_owned() };
        text += &format!("# {}\n", help.replace('\n', " "));
        text += &match value(arg) {
            Some((values, source)) => {
                let values: Vec<_> = values.iter().map(|value| toml(value)).collect();
                let is_list = matches!(arg.get_action(), ArgAction::Append);
                let value = if is_list { format!("[{}]", values.join(", ")) } else { values.concat() };
                format!("{key} = {value} # {source}\n\n")
            }
            None => format!("#{key} =\n\n"),
        };
    }
    text
}

fn toml(value: &str) -> String {
    // A number as TOML writes it, without zeros in front.
    let is_number = value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    let is_plain = is_number || value.parse::<bool>().is_ok();
    if is_plain { value.to_owned() } else { toml::Value::from(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        let joined = |entry: Entry| {
            let arguments: Vec<_> = entry.arguments.into_iter().map(|text| text.into_string().expect("text")).collect();
            (entry.option, arguments.join(" "), entry.line)
        };
        entries(text).expect("well formed").into_iter().map(joined).collect()
    }

    #[test]
    fn keys_are_options_and_lists_repeat_them() {
        let text = "output = \"/a b\"\nreps = 3\n\nexclude-srcport = [22, \"80-90\"]\ninclude-local = true\n";
        let expected = [
            ("output", "--output=/a b", 1),
            ("reps", "--reps=3", 2),
            ("exclude-srcport", "--exclude-srcport=22 --exclude-srcport=80-90", 4),
            ("include-local", "--include-local=true", 5),
        ];
        assert_eq!(read(text), expected.map(|(option, arguments, line)| (option.into(), arguments.into(), line)));
    }

    #[test]
    fn names_with_dots_may_be_tables() {
        for text in ["anonymize.ip = 'none'", "\"anonymize.ip\" = 'none'", "[anonymize]\nip = 'none'"] {
            let read = read(text);
            assert_eq!((&*read[0].0, &*read[0].1), ("anonymize.ip", "--anonymize.ip=none"), "{text}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(entries("a = 1\n\nb = \n").expect_err("no value").0, 3);
        assert_eq!(entries("a = 1\na = 2").expect_err("twice").0, 2);
        assert_eq!(entries("a = 1\nb = [[1]]").expect_err("nested").0, 2);
        assert_eq!(entries("x = 1\n[a]").expect_err("nothing in it").0, 2);
        assert_eq!(entries("x = 1\n[[a]]\nb = 1").expect_err("tables").0, 2);
    }
}
