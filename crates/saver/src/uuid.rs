//! The prefix of all UUIDs of one boot of one host.
//!
//! Sites that want the same prefix in several programs write it to a file once per boot; without one, the prefix is
//! the host name and the boot time, and says `unsafe` at its end, because two programs may compute the boot time a second apart.

use std::path::Path;

use thiserror::Error;

/// File names hold 255 bytes, of which the cookie, SEQ and suffixes take some forty.
const MAX_PREFIX_LEN: usize = 200;

/// The prefix file cannot be used.
#[derive(Debug, Error)]
pub enum UuidError {
    /// It could not be read.
    #[error("cannot read the UUID prefix file {path}: {source}; write it before starting, or leave the option out")]
    Read {
        /// Path of the file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds cannot be part of a file name.
    #[error("the UUID prefix {prefix:?} cannot be part of a file name: {reason}")]
    Unfit {
        /// What it holds.
        prefix: String,
        /// Why not.
        reason: &'static str,
    },
}

/// Reads the prefix from a file. White space at its end, such as an editor's line break, is no part of it.
pub fn prefix_from_file(path: &Path) -> Result<String, UuidError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| UuidError::Read { path: path.display().to_string(), source })?;
    check_prefix(text.trim_end().to_owned())
}

/// The prefix for hosts without a prefix file.
pub fn default_prefix(host: &str, boot_time: i64) -> Result<String, UuidError> {
    check_prefix(format!("{host}_{boot_time}_unsafe"))
}

/// Whether `prefix` can be part of a file name.
pub fn check_prefix(prefix: String) -> Result<String, UuidError> {
    let reason = if prefix.is_empty() {
        "it is empty"
    } else if prefix.len() > MAX_PREFIX_LEN {
        "it is longer than 200 bytes"
    } else if prefix.starts_with('.') {
        "it starts with a dot, which hides the file"
    } else if prefix.contains(|c: char| c == '/' || c.is_control() || c.is_whitespace()) {
        "it has a slash, white space or a control character"
    } else {
        return Ok(prefix);
    };
    Err(UuidError::Unfit { prefix, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_without_the_line_break_behind_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("prefix");
        std::fs::write(&path, "mlab1-lga0t_1553815964\n").expect("writes");
        assert_eq!(prefix_from_file(&path).expect("fits"), "mlab1-lga0t_1553815964");
        std::fs::write(&path, "a/b").expect("writes");
        assert!(prefix_from_file(&path).expect_err("unfit").to_string().contains("slash"));
        assert!(prefix_from_file(&dir.path().join("none")).expect_err("absent").to_string().contains("none"));
    }

    #[test]
    fn unfit_prefixes_are_refused() {
        assert_eq!(default_prefix("web-3", 12).expect("fits"), "web-3_12_unsafe");
        for bad in ["", ".a", "a b", "a\n", &"x".repeat(201)] {
            assert!(check_prefix(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
