//! Serves the pages of a recorder over HTTP, to whoever asks and however they do it.
//!
//! A [`Site`] says what the pages are; a [`Server`] serves them from one thread. It is made for few clients that ask for
//! little, beside a program that must not notice: requests are small, each has a connection of its own and a time to be
//! done in, and of too many connections those go that have said nothing yet for the longest time. Of too much that is being
//! sent that goes of which its client has taken nothing for the longest time. TLS, passwords and
//! further headers are configured by the file of Prometheus' exporter-toolkit: [`WebConfig`].
//!
//! ```
//! struct Greeting;
//!
//! impl web::Site for Greeting {
//!     fn page(&self, path: &str) -> Option<web::Page> {
//!         (path == "/").then(|| web::Page::text("good morning\n"))
//!     }
//! }
//!
//! let counters = web::Counters::new("example", &prometheus::Registry::new())?;
//! let address: web::Address = "127.0.0.1:0".parse()?;
//! let server = web::Server::start(address.bind()?, web::WebConfig::default(), Greeting, counters)?;
//! println!("http://{}/", server.address());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod answer;
mod config;
mod counters;
mod crowd;
mod making;
mod passwords;
mod portions;
mod server;
mod site;

pub use address::Address;
pub use config::WebConfig;
pub use counters::Counters;
pub use server::Server;
pub use site::{Page, Site};
