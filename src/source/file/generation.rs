//! A generation: one of the files that were at the path one after the other, open for reading, plain or
//! compressed, with what is known of it.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::SeekFrom;

use super::fingerprint::{Fingerprint, LONGEST};
use super::packed::{Packing, Unpacked};
use crate::source::status::Trouble;
use crate::source::{Identity, Incident, Rotation};

/// An open file, and what it was seen to be.
pub(super) struct Generation {
    file: fs::File,
    pub(super) identity: Identity,
    /// When the file was made (nanoseconds since 1970), where the file system knows that.
    born_ns: Option<u64>,
    packing: Option<Packing>,
    /// Of a compressed file that is being read: its contents, and how far they were read.
    stream: Option<(Unpacked, u64)>,
    /// The last read met the end of the contents.
    ended: bool,
    /// Nobody writes to it any more: it is a copy, or compressed.
    pub(super) is_whole: bool,
    /// The rotation that is counted when it is left.
    pub(super) left_by: Rotation,
    /// The file that this is a copy of, and that was emptied then: a position in the copy is given as one in that
    /// file, so that whoever resumes there knows what happened.
    pub(super) copy_of: Option<Identity>,
    /// What befell the source between the generation before and this one: told when it is entered.
    pub(super) befell: Vec<Incident>,
    /// Of its contents, uncompressed.
    pub(super) fingerprint: Fingerprint,
    /// Most bytes that its contents were seen to have; for a compressed one, what is known of it before it
    /// was compressed.
    pub(super) size: u64,
    /// Time of its last change (nanoseconds since 1970), as last seen.
    pub(super) modified_ns: u64,
}

/// What became of a file since it was looked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// It has grown, or was written to.
    Written,
    /// Its contents are others.
    Truncated,
}

impl Generation {
    /// Opens what is at `path` for reading, as plain as it is. Anything but a regular file is refused before
    /// it is opened: opening a pipe would block.
    ///
    /// # Errors
    /// The trouble it makes.
    pub(super) fn at(path: &Path) -> Result<Self, Trouble> {
        let found = fs::metadata(path).map_err(|error| trouble(&error))?;
        if !found.is_file() {
            return Err(Trouble::NotAFile);
        }
        let file = fs::File::open(path).map_err(|error| trouble(&error))?;
        let opened = file.metadata().map_err(|error| trouble(&error))?;
        Ok(Generation {
            file,
            identity: identity(&opened),
            born_ns: born_ns(&opened),
            packing: None,
            stream: None,
            ended: false,
            is_whole: false,
            left_by: Rotation::Rename,
            copy_of: None,
            befell: Vec::new(),
            fingerprint: Fingerprint::default(),
            size: 0,
            modified_ns: 0,
        })
    }

    /// Opens a rotated file, which may be compressed, and looks at it.
    ///
    /// # Errors
    /// The trouble it makes.
    pub(super) fn rotated(path: &Path) -> Result<Self, Trouble> {
        let mut open = Self::at(path)?;
        open.packing = Packing::of(&open.file).map_err(|_| Trouble::Read)?;
        open.is_whole = open.packing.is_some();
        open.observe().map_err(|_| Trouble::Read)?;
        Ok(open)
    }

    /// This is `file`, which was changed last at `modified_ns`: its number has not been given to a new one since.
    pub(super) fn is(&self, file: Identity, modified_ns: u64) -> bool {
        let is_younger = modified_ns > 0 && self.born_ns.is_some_and(|born| born > modified_ns);
        self.identity == file && !is_younger
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// Looks at the file's size, time and, if they have changed, its first bytes. What is found is taken in,
    /// unless it shows that the contents are others: then [`forget`](Self::forget) comes first.
    ///
    /// # Errors
    /// What the system returns.
    pub(super) fn observe(&mut self) -> io::Result<Change> {
        if self.is_whole && self.modified_ns > 0 {
            return Ok(Change::Nothing);
        }
        let found = self.file.metadata()?;
        let modified_ns = modified_ns(&found);
        if self.packing.is_some() {
            self.fingerprint = Fingerprint::of(&self.head()?);
            self.modified_ns = modified_ns;
            return Ok(Change::Written);
        }
        if (found.len(), modified_ns) == (self.size, self.modified_ns) {
            return Ok(Change::Nothing);
        }
        let head = self.head()?;
        if found.len() < self.size || self.fingerprint.differs(&head) {
            return Ok(Change::Truncated);
        }
        if !self.fingerprint.is_complete() {
            self.fingerprint = Fingerprint::of(&head);
        }
        self.size = found.len();
        self.modified_ns = modified_ns;
        Ok(Change::Written)
    }

    /// Its contents may be others than those that [`observe`](Self::observe) has seen: what was read since is not to
    /// be trusted.
    ///
    /// # Errors
    /// What the system returns.
    pub(super) fn is_replaced(&self) -> io::Result<bool> {
        if self.is_whole {
            return Ok(false);
        }
        let found = self.file.metadata()?;
        let is_seen = (found.len(), modified_ns(&found)) == (self.size, self.modified_ns);
        Ok(!is_seen && (found.len() < self.size || self.fingerprint.differs(&self.head()?)))
    }

    /// The contents are others from now on.
    pub(super) fn forget(&mut self) {
        self.fingerprint = Fingerprint::default();
        self.size = 0;
        self.modified_ns = 0;
    }

    /// The first bytes of the contents, as many as a fingerprint is of, or all.
    ///
    /// # Errors
    /// What reading returns.
    pub(super) fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = Vec::with_capacity(LONGEST);
        match self.packing {
            Some(packing) => {
                packing.unpack(&self.file)?.take(LONGEST as u64).read_to_end(&mut head)?;
            }
            None => {
                head.resize(LONGEST, 0);
                let mut held = 0;
                while held < LONGEST {
                    match self.file.read_at(&mut head[held..], held as u64) {
                        Ok(0) => break,
                        Ok(read) => held += read,
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                head.truncate(held);
            }
        }
        Ok(head)
    }

    /// The contents begin with all that `copy` has: it is a copy of them as they are, not of earlier ones.
    pub(super) fn has_all_of(&self, copy: &Generation) -> bool {
        let from = copy.size.saturating_sub(LONGEST as u64);
        let mut ends = [vec![0; (copy.size - from) as usize], vec![0; (copy.size - from) as usize]];
        let [own, other] = &mut ends;
        let is_read = self.file.read_exact_at(own, from).and_then(|()| copy.file.read_exact_at(other, from)).is_ok();
        let begins_alike = self.head().is_ok_and(|head| copy.fingerprint.matches(&head));
        copy.packing.is_none() && is_read && own == other && begins_alike
    }

    /// Reads contents from `offset` on; 0 bytes at their end. Of a compressed file, whatever stands before
    /// the offset is skipped first, a buffer at each call: true while that is under way.
    ///
    /// # Errors
    /// What reading returns.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<(usize, bool)> {
        let Some(packing) = self.packing else {
            let read = self.file.read_at(buffer, offset)?;
            self.ended = read == 0;
            return Ok((read, false));
        };
        if self.stream.as_ref().is_none_or(|(_, at)| *at > offset) {
            self.stream = Some((packing.unpack(&self.file)?, 0));
        }
        let Some((stream, at)) = &mut self.stream else { return Ok((0, false)) };
        let ahead = usize::try_from(offset - *at).unwrap_or(usize::MAX);
        let is_skipping = ahead > 0;
        let end = if is_skipping { ahead.min(buffer.len()) } else { buffer.len() };
        let read = stream.read(buffer.get_mut(..end).unwrap_or_default())?;
        *at += read as u64;
        self.ended = read == 0;
        Ok((read, is_skipping && read > 0))
    }

    /// Nothing more is to be read behind `offset`, as far as is known.
    pub(super) fn is_read_to(&self, offset: u64) -> bool {
        if self.is_whole { self.ended } else { offset >= self.size }
    }

    /// Where the next bytes that are no hole stand: at `offset` or behind it. The end of the file if there
    /// are none, and `offset` itself where the file system cannot tell.
    pub(super) fn data_from(&self, offset: u64) -> u64 {
        if self.is_packed() {
            // Seeking would move its stream.
            return offset;
        }
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(data) => data.max(offset),
            Err(rustix::io::Errno::NXIO) => self.size.max(offset),
            Err(_) => offset,
        }
    }

    /// Replaces a handle that cannot be read (stale after a file server came back) by a new one of the same
    /// file. The old one is open meanwhile, so an equal inode is the same file.
    pub(super) fn reopen(&mut self, path: &Path) {
        if let Ok(open) = Self::at(path)
            && open.identity == self.identity
        {
            self.file = open.file;
        }
        self.stream = None;
    }
}

pub(super) fn identity(metadata: &Metadata) -> Identity {
    Identity { device: metadata.dev(), inode: metadata.ino() }
}

pub(super) fn modified_ns(metadata: &Metadata) -> u64 {
    let ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    u64::try_from(ns).unwrap_or(0)
}

fn born_ns(metadata: &Metadata) -> Option<u64> {
    let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(born.as_nanos()).ok()
}

pub(super) fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Trouble::Missing,
        ErrorKind::PermissionDenied => Trouble::Permission,
        _ => Trouble::Open,
    }
}
