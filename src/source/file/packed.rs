//! Rotated files that were compressed: gzip, Zstandard and xz, known by their first bytes, whatever they are
//! called, and read as streams. bzip2 is left alone: no kept crate reads it under a licence we take.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Compressed bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Memory (KiB) that an xz file may ask for: its highest level asks for 65 MiB.
const XZ_MEMORY_KIB: u32 = 128 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstandard,
    Xz,
}

/// What each begins with. No line of a log does.
const MAGICS: [(Packing, &[u8]); 3] = [
    (Packing::Gzip, &[0x1f, 0x8b]),
    (Packing::Zstandard, &[0x28, 0xb5, 0x2f, 0xfd]),
    (Packing::Xz, &[0xfd, b'7', b'z', b'X', b'Z', 0]),
];

/// What the names of compressed files end in.
pub(super) const EXTENSIONS: [&[u8]; 6] = [b".gz", b".zst", b".xz", b".bz2", b".Z", b".lz4"];

impl Packing {
    /// How `file` is compressed; none if it is plain.
    ///
    /// # Errors
    /// What reading returns.
    pub(super) fn of(file: &fs::File) -> io::Result<Option<Packing>> {
        let mut head = [0; 6];
        let read = file.read_at(&mut head, 0)?;
        let head = head.get(..read).unwrap_or_default();
        Ok(MAGICS.iter().find(|(_, magic)| head.starts_with(magic)).map(|(packing, _)| *packing))
    }

    /// The contents of `file`, from their beginning. Moves the handle's own offset, which clones share: one
    /// stream at a time.
    ///
    /// # Errors
    /// What seeking returns.
    pub(super) fn unpack(self, file: &fs::File) -> io::Result<Unpacked> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        let packed = BufReader::with_capacity(READ_BYTES, file);
        Ok(match self {
            Packing::Gzip => Unpacked::Gzip(Box::new(MultiGzDecoder::new(packed))),
            Packing::Zstandard => {
                Unpacked::Zstandard(Box::new(Frames { packed, decoder: FrameDecoder::new(), in_frame: false }))
            }
            Packing::Xz => Unpacked::Xz(Box::new(XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB))),
        })
    }
}

type Packed = BufReader<fs::File>;

/// The contents of a compressed file, as a stream.
pub(super) enum Unpacked {
    Gzip(Box<MultiGzDecoder<Packed>>),
    Zstandard(Box<Frames>),
    Xz(Box<XzReader<Packed>>),
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Gzip(stream) => stream.read(buffer),
            Unpacked::Zstandard(stream) => stream.read(buffer),
            Unpacked::Xz(stream) => stream.read(buffer),
        }
    }
}

/// Zstandard's frames, one after the other: a file may have several, and some to be skipped.
pub(super) struct Frames {
    packed: Packed,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() && (self.in_frame || self.next_frame()?) {
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.packed, one).map_err(io::Error::other)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.in_frame = false;
        }
        Ok(0)
    }
}

impl Frames {
    /// Goes to the next frame with contents. False at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.packed) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.packed).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}
