//! The body of an answer, as it is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::crowd::Crowd;

/// Bytes that are given to the connection at a time.
const PORTION: usize = 256 << 10;

/// A body in portions: when the next one is asked for, the client has taken some, and that is told to the crowd.
pub(crate) struct Portions {
    rest: Bytes,
    crowd: Arc<Crowd>,
    number: u64,
}

impl Portions {
    /// Of the connection with this number.
    pub(crate) fn new(body: Bytes, crowd: Arc<Crowd>, number: u64) -> Self {
        Self { rest: body, crowd, number }
    }
}

impl Body for Portions {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.crowd.takes(self.number);
        let len = self.rest.len().min(PORTION);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
