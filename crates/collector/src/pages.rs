//! The pages that the recorder serves.

use std::sync::Arc;

use prometheus::Registry;
use web::{Page, Site};

use crate::health::Health;
use crate::metrics::{CONTENT_TYPE, exposition};

const INDEX: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>tcp-info</title></head>\n<body>\n",
    "<h1>tcp-info ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<p>A flight recorder for TCP.</p>\n<ul>\n",
    "<li><a href=\"/metrics\">/metrics</a>: the TCP of this host and the recorder itself, for Prometheus</li>\n",
    "<li><a href=\"/healthz\">/healthz</a>: whether the recorder looks at the kernel as it should</li>\n",
    "<li><a href=\"/readyz\">/readyz</a>: whether connections are recorded</li>\n",
    "</ul>\n</body>\n</html>\n"
);
const UNAVAILABLE: u16 = 503;

/// Metrics, health, and where to find them.
pub struct Pages {
    registry: Registry,
    health: Arc<Health>,
}

impl Pages {
    /// Of these metrics and this health.
    pub fn new(registry: Registry, health: Arc<Health>) -> Self {
        Self { registry, health }
    }
}

impl Site for Pages {
    fn page(&self, path: &str) -> Option<Page> {
        let say = |is_so: bool, yes: &str, no: &str| {
            if is_so { Page::text(yes) } else { Page::text(no).with_status(UNAVAILABLE) }
        };
        match path {
            "/" => Some(Page::html(INDEX)),
            "/metrics" => {
                let registry = self.registry.clone();
                Some(Page::made_by(CONTENT_TYPE, move || exposition(&registry)))
            }
            "/healthz" => Some(say(self.health.is_well(), "ok\n", "the kernel has not been polled for long\n")),
            "/readyz" => Some(say(self.health.is_ready(), "ready\n", "not recording\n")),
            _ => None,
        }
    }
}
