//! A server, asked as clients ask, and as they should not.

mod http;
mod limits;
mod properties;
mod support;
mod tls;
