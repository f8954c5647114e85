//! The content of a response: bytes that are there, or an exposition that is written while it is sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::deadline::Progress;
use super::encoding::{Encoder, Encoding};
use super::scrape::Alive;
use crate::exposition::{Protocol, Rendering, Selection};

/// So much is written at once, about 50 µs of work: other connections have their turn in between.
const PIECE: usize = 64 * 1024;

/// Less than that is not sent before the end.
const LEAST_SENT: usize = 16 * 1024;

/// What is sent.
pub(super) enum Content {
    /// All of it.
    Whole(Full<Bytes>),
    /// An exposition, of which pieces are written when the client has taken those before.
    Pieces(Box<Pieces>),
}

impl Content {
    pub(super) fn whole(content: impl Into<Bytes>) -> Self {
        Self::Whole(Full::new(content.into()))
    }
}

/// An exposition being written, a piece at a time: no more than a piece is in memory beside the snapshot that it is
/// written from, however slowly it is read.
pub(super) struct Pieces {
    rendering: Rendering,
    encoder: Encoder,
    /// Memory for the next piece.
    piece: Vec<u8>,
    /// What has been encoded already.
    ready: Option<Bytes>,
    is_written: bool,
    _alive: Arc<Alive>,
}

/// What a step brought.
enum Step {
    Ready(Bytes),
    /// Nothing that can be sent yet.
    Working,
    End,
}

impl Pieces {
    /// Everything that `selection` has of an exposition: as a whole if that is little. Takes as long as writing a piece does.
    ///
    /// # Errors
    /// The encoder fails, which it has no reason to.
    pub(super) fn begin(
        alive: Arc<Alive>,
        protocol: Protocol,
        encoding: Encoding,
        selection: Selection,
    ) -> io::Result<Content> {
        let rendering = Rendering::new(Arc::clone(&alive.exposition), protocol, selection);
        let encoder = Encoder::new(encoding)?;
        let mut pieces = Self { rendering, encoder, piece: Vec::new(), ready: None, is_written: false, _alive: alive };
        loop {
            match pieces.step()? {
                Step::Ready(bytes) if pieces.is_written => return Ok(Content::whole(bytes)),
                Step::Ready(bytes) => {
                    pieces.ready = Some(bytes);
                    return Ok(Content::Pieces(Box::new(pieces)));
                }
                Step::Working => {}
                Step::End => return Ok(Content::whole(Bytes::new())),
            }
        }
    }

    fn step(&mut self) -> io::Result<Step> {
        if let Some(ready) = self.ready.take() {
            return Ok(Step::Ready(ready));
        }
        if self.is_written {
            return Ok(Step::End);
        }
        // A last row may go beyond.
        self.piece.reserve(PIECE + PIECE / 8);
        self.is_written = !self.rendering.write(PIECE, &mut self.piece);
        self.encoder.write(&mut self.piece)?;
        if self.is_written {
            self.encoder.finish()?;
        }
        let least = if self.is_written { 1 } else { LEAST_SENT };
        Ok(match self.encoder.take(least) {
            Some(bytes) => Step::Ready(bytes.into()),
            None if self.is_written => Step::End,
            None => Step::Working,
        })
    }
}

/// A response's content that tells the connection's [`Progress`] when hyper is through with it.
pub(super) struct Tracked {
    content: Content,
    progress: Arc<Progress>,
}

impl Tracked {
    pub(super) fn new(content: Content, progress: Arc<Progress>) -> Self {
        Self { content, progress }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.progress.end_response();
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let pieces = match &mut self.content {
            Content::Whole(content) => {
                return Pin::new(content).poll_frame(cx).map_err(|never| match never {});
            }
            Content::Pieces(pieces) => pieces,
        };
        match pieces.step() {
            Ok(Step::Ready(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Ok(Step::End) => Poll::Ready(None),
            Ok(Step::Working) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(content) => content.is_end_stream(),
            Content::Pieces(pieces) => pieces.is_written && pieces.ready.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(content) => content.size_hint(),
            Content::Pieces(_) => SizeHint::default(),
        }
    }
}
