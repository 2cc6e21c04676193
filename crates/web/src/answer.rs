//! The answer to one request.

use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
    VARY, WWW_AUTHENTICATE,
};
use hyper::http::response::Builder;
use hyper::{Method, Request, Response, StatusCode};

use crate::config::Settings;
use crate::making::Making;
use crate::passwords::Admission;
use crate::site::{Body, Page, Site};

type Answer = Response<Bytes>;

/// Answers a request to this site under these settings. `is_admitted` is called when it is to be answered with a page.
pub(crate) async fn answer<B>(
    site: &dyn Site,
    making: &Making,
    settings: &Settings,
    request: &Request<B>,
    is_admitted: impl FnOnce(),
) -> Answer {
    let mut response = match refusal(settings, request).await {
        Some(refusal) => refusal,
        None => {
            is_admitted();
            match site.page(request.uri().path()) {
                Some(page) => send(page, making, request).await,
                None => plain(StatusCode::NOT_FOUND, "there is no such page; see /\n"),
            }
        }
    };
    response.headers_mut().extend(settings.headers.iter().cloned().map(|(name, value)| (Some(name), value)));
    if request.method() == Method::HEAD {
        // Its length is said, and nothing else of it.
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Bytes::new();
    }
    response
}

/// What is answered instead, if the page is not to be seen.
async fn refusal<B>(settings: &Settings, request: &Request<B>) -> Option<Answer> {
    if !settings.rate.takes_one_more() {
        return Some(plain(StatusCode::TOO_MANY_REQUESTS, "too many requests\n"));
    }
    if !settings.passwords.is_empty() {
        let sent = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes().to_vec());
        let admission = match sent {
            Some(sent) => settings.passwords.admit(sent).await,
            None => Admission::Refused,
        };
        match admission {
            Admission::Granted => {}
            Admission::Busy => {
                return Some(plain(StatusCode::SERVICE_UNAVAILABLE, "too many passwords to be checked\n"));
            }
            Admission::Refused => {
                let mut answer = plain(StatusCode::UNAUTHORIZED, "a name and a password are needed\n");
                answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"metrics\""));
                return Some(answer);
            }
        }
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(answer);
    }
    None
}

async fn send<B>(page: Page, making: &Making, request: &Request<B>) -> Answer {
    let Page { status, content_type, body } = page;
    let (body, is_zipped) = match body {
        Body::Ready(body) => (Some(body.into()), false),
        Body::Work(work) => {
            let gzip = takes_gzip(request.headers());
            (making.make(request.uri().path(), gzip, work).await, gzip)
        }
    };
    let Some(body) = body else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n");
    };
    let mut builder = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    if is_zipped {
        builder = builder.header(CONTENT_ENCODING, "gzip").header(VARY, "Accept-Encoding");
    }
    finish(builder, body)
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let builder = Response::builder().status(status).header(CONTENT_TYPE, "text/plain; charset=utf-8");
    finish(builder, Bytes::from_static(text.as_bytes()))
}

fn finish(builder: Builder, body: Bytes) -> Answer {
    builder.body(body).unwrap_or_default()
}

/// Whether a client takes gzip: it, or everything, is named, and not with a weight of 0 (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weights = named.flat_map(|value| value.split(',')).filter_map(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = match parameters.split_once('=') {
            Some((parameter, weight)) if parameter.trim().eq_ignore_ascii_case("q") => {
                weight.trim().parse::<f32>().ok()?
            }
            _ => 1.0,
        };
        Some((name.trim().to_ascii_lowercase(), weight))
    });
    let weights: Vec<_> = weights.collect();
    let weight = |wanted: &str| weights.iter().find(|(name, _)| name == wanted).map(|&(_, weight)| weight);
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip ; Q = 0", false),
            ("gzip; q=0.0, *", false),
            ("*", true),
            ("*;q=0", false),
            ("identity", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), expected, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
