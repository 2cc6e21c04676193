//! The pages that are served.

use std::io::{self, Write};
use std::sync::Arc;

use prometheus::{Registry, TextEncoder};
use streams::live::Gathered;
use web::{Page, Site};

use crate::NAME;
use crate::exposition::{self, CONTENT_TYPE, Kind, Labels, Text, Value};
use crate::gatherer::Gatherer;

const UNAVAILABLE: u16 = 503;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Metrics, health, and where to find them.
pub struct Pages {
    gatherer: Arc<Gatherer>,
    /// Of the server, and of the process if that is wanted.
    registry: Registry,
    /// What is captured, as labels.
    capture: Labels,
}

impl Pages {
    /// What these threads know, who capture `filter` on `interfaces`; and what is registered.
    pub fn new(gatherer: Arc<Gatherer>, registry: Registry, interfaces: &[String], filter: &str) -> Self {
        let mut capture = Labels::default();
        for interface in interfaces {
            capture.push(&[("interface", interface), ("filter", &filter)]);
        }
        Self { gatherer, registry, capture }
    }
}

impl Site for Pages {
    fn page(&self, path: &str) -> Option<Page> {
        let gatherer = Arc::clone(&self.gatherer);
        match path {
            "/" => Some(Page::written_by("text/html; charset=utf-8", move |out| index(&gatherer.totals()?, out))),
            "/metrics" => {
                let (registry, capture) = (self.registry.clone(), self.capture.clone());
                Some(Page::written_by(CONTENT_TYPE, move |out| {
                    let gathered = gatherer.streams()?;
                    let mut text = Text::new(out);
                    about(&capture, &mut text);
                    exposition::totals(&gathered, &mut text);
                    exposition::each_stream(&gathered, &mut text);
                    let others = TextEncoder::new().encode_to_string(&registry.gather()).map_err(io::Error::other)?;
                    text.append(&others);
                    text.finish()
                }))
            }
            "/healthz" if self.gatherer.is_well() => Some(Page::text("ok\n")),
            "/healthz" => {
                Some(Page::text("the threads that capture have not answered for long\n").with_status(UNAVAILABLE))
            }
            _ => None,
        }
    }
}

/// What this is, and what it captures.
fn about(capture: &Labels, text: &mut Text<'_>) {
    let mut build = Labels::default();
    build.push(&[("version", &VERSION)]);
    text.family("tcp_stream_exporter_build_info", Kind::Gauge, "Version of the exporter; always 1.");
    build.iter().for_each(|labels| text.sample(labels, Value::Whole(1)));
    text.family("capture_info", Kind::Gauge, "Interfaces that are captured on, and the filter; always 1.");
    capture.iter().for_each(|labels| text.sample(labels, Value::Whole(1)));
}

fn index(gathered: &Gathered, out: &mut dyn Write) -> io::Result<()> {
    let Gathered { active, tracked, seen, .. } = gathered;
    let capture = gathered.capture;
    let (received, dropped, freezes) = (capture.received, capture.dropped, capture.freezes);
    write!(
        out,
        "<!DOCTYPE html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>{NAME}</title></head>
<body>
<h1>{NAME} {VERSION}</h1>
<ul>
<li><a href=\"/metrics\">/metrics</a>: streams, totals and the capture itself, for Prometheus</li>
<li><a href=\"/healthz\">/healthz</a>: whether the threads that capture answer</li>
</ul>
<table>
<tr><td>Streams tracked</td><td>{tracked}</td></tr>
<tr><td>Streams active</td><td>{active}</td></tr>
<tr><td>Streams seen</td><td>{seen}</td></tr>
<tr><td>Packets processed</td><td>{received}</td></tr>
<tr><td>Packets dropped</td><td>{dropped}</td></tr>
<tr><td>Queue freezes</td><td>{freezes}</td></tr>
</table>
</body>
</html>
"
    )
}
