//! TCP lines: `option tcplog`.
//!
//! ```text
//! %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq
//! ```

use super::{bytes_read, connections, queues, split_client, split_connections, split_names, termination_state, timer};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// One TCP session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    line: &'a [u8],
    start: u32,
    /// Where client, date, frontend, names, timers, bytes, termination state and connections end.
    ends: [u32; 8],
    /// Tw, Tc, Tt in milliseconds; -1: that phase was never reached.
    pub timers_ms: [i32; 3],
    /// True when the line was written before the end: the last timer and the bytes are incomplete.
    pub logasap: bool,
    /// True when the session was sent to another server after a failure.
    pub redispatched: bool,
    /// Connection attempts beyond the first.
    pub retries: u32,
    /// Sessions that were queued before this one at the server, and at the backend.
    pub queues: [u32; 2],
    /// Bytes sent to the client.
    pub bytes_read: u64,
}

impl<'a> Tcp<'a> {
    fn field(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { self.start } else { self.ends[index - 1] + 1 };
        self.line.get(start as usize..self.ends[index] as usize).unwrap_or_default()
    }

    /// The client's address, or `unix`.
    pub fn client_ip(&self) -> &'a [u8] {
        split_client(self.field(0)).0
    }

    /// The client's port, or the listener's number for a unix socket.
    pub fn client_port(&self) -> u32 {
        split_client(self.field(0)).1
    }

    /// When the session was accepted, `dd/Mon/yyyy:hh:mm:ss.mmm`, local time.
    pub fn accept_date(&self) -> &'a [u8] {
        let date = self.field(1);
        date.get(1..date.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The frontend's name, without the `~` of TLS.
    pub fn frontend_name(&self) -> &'a [u8] {
        let name = self.field(2);
        name.strip_suffix(b"~").unwrap_or(name)
    }

    /// True when the client came over TLS (`~`).
    pub fn ssl(&self) -> bool {
        self.field(2).ends_with(b"~")
    }

    /// The backend's name.
    pub fn backend_name(&self) -> &'a [u8] {
        split_names(self.field(3)).0
    }

    /// The server's name, `<NOSRV>` or `<STATS>`.
    pub fn server_name(&self) -> &'a [u8] {
        split_names(self.field(3)).1
    }

    /// Frontend, backend and server as they stand in the line, `FRONTEND[~] BACKEND/SERVER`.
    pub fn raw_names(&self) -> &'a [u8] {
        self.line.get(self.ends[1] as usize + 1..self.ends[3] as usize).unwrap_or_default()
    }

    /// The two characters of the termination state.
    pub fn termination_state(&self) -> &'a [u8] {
        self.field(6)
    }

    /// Concurrent connections when the line was written: of the process, the frontend, the backend, the server.
    pub fn connections(&self) -> [u32; 4] {
        split_connections(self.field(7))
    }
}

/// Reads on from the timers. `ends` holds the first four ends.
pub(super) fn parse<'a>(mut cursor: Cursor<'a>, start: usize, ends: [u32; 12]) -> Result<Tcp<'a>, Reject> {
    let mut timers_ms = [0; 3];
    let mut logasap = false;
    for (index, field) in ["time_queue_ms", "time_connect_ms", "time_total_ms"].iter().enumerate() {
        logasap |= index == 2 && cursor.take(b'+');
        timers_ms[index] = timer(&mut cursor, field)?;
        cursor.expect(if index == 2 { b' ' } else { b'/' }, field)?;
    }
    let timers_end = cursor.at() as u32 - 1;
    let (bytes_read, incomplete) = bytes_read(&mut cursor)?;
    let bytes_end = cursor.at() as u32 - 1;
    termination_state(&mut cursor, 2)?;
    let termination_end = cursor.at() as u32 - 1;
    let (retries, redispatched) = connections(&mut cursor)?;
    let connections_end = cursor.at() as u32 - 1;
    let queues = queues(&mut cursor)?;
    if !cursor.rest().is_empty() {
        return cursor.reject(Reason::Delimiter, "backend_queue");
    }
    Ok(Tcp {
        line: cursor.line(),
        start: start as u32,
        ends: [ends[0], ends[1], ends[2], ends[3], timers_end, bytes_end, termination_end, connections_end],
        timers_ms,
        logasap: logasap || incomplete,
        redispatched,
        retries,
        queues,
        bytes_read,
    })
}
