//! What is served.

use std::io::{self, Write};

/// Pages by path.
pub trait Site: Send + Sync + 'static {
    /// The page of this path; `None` if there is none. It must be made at once; what takes longer is for [`Page::made_by`].
    fn page(&self, path: &str) -> Option<Page>;
}

/// One page.
pub struct Page {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Ready(Vec<u8>),
    /// Writes it, on a thread that may wait.
    Work(Box<Work>),
}

pub(crate) type Work = dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send;

impl Page {
    /// Plain text.
    pub fn text(text: &str) -> Self {
        Self::new("text/plain; charset=utf-8", Body::Ready(text.into()))
    }

    /// HTML.
    pub fn html(text: &str) -> Self {
        Self::new("text/html; charset=utf-8", Body::Ready(text.into()))
    }

    /// A page that takes time to make; `work` is called on a thread that may wait.
    pub fn made_by(content_type: &'static str, work: impl FnOnce() -> Vec<u8> + Send + 'static) -> Self {
        Self::written_by(content_type, |out| out.write_all(&work()))
    }

    /// The same of a page that is long: it is written in pieces, so for those who take it compressed it never is in memory as
    /// a whole. If `work` fails, the answer is that the page could not be made.
    pub fn written_by(
        content_type: &'static str,
        work: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self::new(content_type, Body::Work(Box::new(work)))
    }

    /// The same with another status than 200.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn new(content_type: &'static str, body: Body) -> Self {
        Self { status: 200, content_type, body }
    }
}
