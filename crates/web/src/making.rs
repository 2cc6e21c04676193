//! Pages that take time to make.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::site::Work;

/// The page of a path, and whether it is compressed.
type Which = (String, bool);
/// A page that is being made; `None` if it could not be.
type Made = Arc<OnceCell<Option<Bytes>>>;

/// Pages that are being made. Who asks for one meanwhile gets the same: many at a time take the memory and the work of one.
#[derive(Default)]
pub(crate) struct Making(Mutex<HashMap<Which, Made>>);

impl Making {
    /// The page of this path, which `work` makes, on a thread that may wait. `None` if it could not be made.
    pub(crate) async fn make(&self, path: &str, gzip: bool, work: Box<Work>) -> Option<Bytes> {
        let which = (path.to_owned(), gzip);
        let made = Arc::clone(self.pages().entry(which.clone()).or_default());
        let make = || async {
            let body = match spawn_blocking(move || make(gzip, work)).await {
                Ok(Ok(body)) => Some(body),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a page could not be made");
                    None
                }
                Err(_) => None,
            };
            // Who asks from now on is told what there is by then.
            self.pages().remove(&which);
            body
        };
        made.get_or_init(make).await.clone()
    }

    fn pages(&self) -> MutexGuard<'_, HashMap<Which, Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(gzip: bool, work: Box<Work>) -> io::Result<Bytes> {
    let mut body = Vec::new();
    if gzip {
        let mut encoder = GzEncoder::new(&mut body, Compression::fast());
        work(&mut encoder)?;
        encoder.finish()?;
    } else {
        work(&mut body)?;
    }
    // What it took while it grew is not kept.
    Ok(body.into_boxed_slice().into())
}
