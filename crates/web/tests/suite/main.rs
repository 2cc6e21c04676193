//! A server, asked as clients ask, and as they should not.

mod http;
mod limits;
mod support;
mod tls;
