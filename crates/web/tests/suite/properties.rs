//! Whatever is sent or configured: nothing panics, errors are one line, and the next client is answered.

use std::io::Write;
use std::net::Shutdown;

use proptest::prelude::*;
use web::{Address, WebConfig};

use crate::support::{Answer, Served};

/// Text that looks somewhat like a configuration.
fn any_config() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "tls_server_config",
        "cert_file",
        "key_file",
        "client_auth_type",
        "client_allowed_sans",
        "http_server_config",
        "headers",
        "basic_auth_users",
        "rate_limit",
        "interval",
        "burst",
        ": ",
        "\n  ",
        "\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        "a",
        "\"",
        "1s",
        "-1",
        "&x",
        "*x",
        "!!binary",
        "# ",
        "~",
        "\t",
    ]);
    prop_oneof![".{0,200}", prop::collection::vec(word, 0..40).prop_map(|words| words.concat())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_configuration_is_taken_or_refused_in_one_line(text in any_config()) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &text).expect("writes");
        if let Err(error) = WebConfig::read(file.path()) {
            prop_assert!(!error.contains('\n') && error.contains(file.path().to_str().expect("text")), "{error:?}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_written_as_it_is_read(text in r"[\[\]a-z0-9:.]{0,20}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}

#[test]
fn after_any_request_the_next_one_is_answered() {
    let served = Served::new(WebConfig::default());
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50),
        prop::sample::select(vec![
            "GET ",
            "HEAD ",
            "/",
            " HTTP/1.1",
            "\r\n",
            "Host: x",
            "Content-Length: 9",
            "Expect: 100-continue"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let request = prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
    let outcome = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200)).run(&request, |request| {
        let mut stream = served.connect();
        // It may have been refused before it has said all.
        let _ = stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write));
        let answer = Answer::read(stream);
        prop_assert!(answer.status == 0 || (200..600).contains(&answer.status), "{}", answer.status);
        prop_assert_eq!(served.get("/", "").status, 200);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
