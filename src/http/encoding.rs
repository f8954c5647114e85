//! Encodings of a response's content, a piece at a time.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// How a response's content is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not at all.
    Identity,
    /// gzip, level 1: expositions repeat themselves so much that higher levels cost three times as much for a third less.
    Gzip,
    /// zstd, level 1: faster than that, and smaller.
    Zstd,
}

impl Encoding {
    /// The value of `Content-Encoding`, if it is one.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Window of zstd: 2^18 bytes hold thousands of samples, and memory for an encoder stays below 1 MiB.
const WINDOW_LOG: u32 = 18;

/// Encodes pieces.
pub(super) enum Encoder {
    Identity(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity(Vec::new()),
            Encoding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
                encoder.window_log(WINDOW_LOG)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes a piece, and leaves its memory to be used again where that is possible.
    ///
    /// # Errors
    /// The encoder fails, which it has no reason to.
    pub(super) fn write(&mut self, piece: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Identity(out) if out.is_empty() => std::mem::swap(out, piece),
            Self::Identity(out) => out.append(piece),
            Self::Gzip(encoder) => encoder.write_all(piece)?,
            Self::Zstd(encoder) => encoder.write_all(piece)?,
        }
        piece.clear();
        Ok(())
    }

    /// Ends the content.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
        }
    }

    /// Gives away what is ready to be sent, if that is `least` bytes.
    pub(super) fn take(&mut self, least: usize) -> Option<Vec<u8>> {
        let out = match self {
            Self::Identity(out) => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        (out.len() >= least).then(|| std::mem::take(out))
    }
}
