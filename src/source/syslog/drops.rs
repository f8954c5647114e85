//! How many datagrams the kernel threw away on a UDP socket, from its table of sockets.
//!
//! ```text
//!    sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
//! 13841: 0100007F:E070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 64103 2 00000000226d2d8a 0
//! ```
//!
//! The kernel also tells with a datagram (`SO_RXQ_OVFL`) how many were dropped before it, but nothing of those
//! that were dropped behind the last one.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

/// Columns of the table, separated by spaces.
const INODE: usize = 9;
const DROPS: usize = 12;

/// The count of one socket.
#[derive(Debug)]
pub(super) struct Drops {
    table: &'static str,
    inode: String,
    /// The count when it was last asked for.
    seen: u32,
}

impl Drops {
    /// Of a socket that is bound already. What it has dropped so far is not counted as seen.
    ///
    /// # Errors
    ///
    /// The table cannot be read, or does not have the socket.
    pub(super) fn of(socket: &impl AsFd, is_ipv6: bool) -> io::Result<Self> {
        let table = if is_ipv6 { "/proc/self/net/udp6" } else { "/proc/self/net/udp" };
        let inode = rustix::fs::fstat(socket)?.st_ino.to_string();
        let drops = Drops { table, inode, seen: 0 };
        drops.read()?;
        Ok(drops)
    }

    /// Datagrams that were dropped since the last call.
    pub(super) fn take(&mut self) -> io::Result<u64> {
        let count = self.read()?;
        // The kernel's count has 32 bits and starts again.
        let new = count.wrapping_sub(self.seen);
        self.seen = count;
        Ok(u64::from(new))
    }

    fn read(&self) -> io::Result<u32> {
        let mut table = BufReader::new(File::open(self.table)?);
        let mut line = String::new();
        while table.read_line(&mut line)? > 0 {
            let mut columns = line.split_ascii_whitespace().skip(INODE);
            if columns.next() == Some(&self.inode) {
                // Older kernels show a count beyond i32::MAX as a negative number: the cast keeps its low 32 bits.
                let count = columns.nth(DROPS - INODE - 1).and_then(|count| count.parse::<i64>().ok());
                let count = count.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a table without drops"))?;
                return Ok(count as u32);
            }
            line.clear();
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("the socket is not in {}", self.table)))
    }
}
