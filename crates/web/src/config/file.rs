//! The format of the file.

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::rate::Rate;
use super::tls::Tls;

/// Headers that may be added to answers, and the values that are taken, if not all are.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) tls_server_config: Option<Tls>,
    pub(super) http_server_config: Http,
    pub(super) basic_auth_users: BTreeMap<String, String>,
    pub(super) rate_limit: Rate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Http {
    /// Taken, and of no effect: HTTP/2 is not spoken.
    #[serde(rename = "http2")]
    _http2: serde_yaml_ng::Value,
    headers: BTreeMap<String, String>,
}

impl File {
    /// An error says in which line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // Of an empty file, nothing is said.
        let file: Option<Self> = serde_yaml_ng::from_str(text).map_err(|error| error.to_string().replace('\n', " "))?;
        Ok(file.unwrap_or_default())
    }
}

impl Http {
    pub(super) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let set = self.headers.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| {
            let known = HEADERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let (_, values) = known.ok_or_else(|| format!("the header {name} cannot be set"))?;
            if !values.is_empty() && !values.iter().any(|known| known.eq_ignore_ascii_case(value)) {
                return Err(format!("{value:?} is no value of the header {name}: {}", values.join(", ")));
            }
            let bad = || format!("{value:?} cannot be the value of a header");
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            Ok((name, HeaderValue::from_str(value).map_err(|_| bad())?))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("basic_auth_users:\n  a: b\nbasic: 1\n", "basic"),
            ("tls_server_config:\n  cert_fil: x\n", "line 2"),
            ("basic_auth_users: [1]\n", "line 1"),
            ("rate_limit:\n  interval: soon\n", "soon"),
            ("basic_auth_users: [", "line"),
        ] {
            let error = File::parse(text).expect_err(text);
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
        assert!(File::parse("").expect("nothing is said").tls_server_config.is_none());
        assert!(File::parse("# nothing\n").is_ok());
    }

    #[test]
    fn only_known_headers_are_set() {
        let headers = |text: &str| {
            File::parse(&format!("http_server_config: {{http2: true, headers: {{{text}}}}}"))
                .expect("is YAML")
                .http_server_config
                .headers()
        };
        assert_eq!(headers("X-Frame-Options: deny, X-XSS-Protection: ''").expect("are known").len(), 1);
        for bad in ["X-Frame-Options: maybe", "Server: x", "Strict-Transport-Security: \"a\\nb\""] {
            assert!(headers(bad).is_err(), "{bad}");
        }
    }
}
