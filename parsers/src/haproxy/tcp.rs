//! TCP lines: `option tcplog`.
//!
//! ```text
//! %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq
//! ```

use super::{Head, Names, bytes_read, connections, queues, split_client, split_connections, termination_state, timer};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// One TCP session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    line: &'a [u8],
    start: u32,
    client_end: u32,
    names_end: u32,
    /// Where timers and bytes end.
    numbers_end: u32,
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
    fn span(&self, start: u32, end: u32) -> &'a [u8] {
        self.line.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The client's address, or `unix`.
    pub fn client_ip(&self) -> &'a [u8] {
        split_client(self.span(self.start, self.client_end)).0
    }

    /// The client's port, or the listener's number for a unix socket.
    pub fn client_port(&self) -> u32 {
        split_client(self.span(self.start, self.client_end)).1
    }

    /// When the session was accepted, `dd/Mon/yyyy:hh:mm:ss.mmm`, local time.
    pub fn accept_date(&self) -> &'a [u8] {
        self.span(self.client_end + 2, self.client_end + 26)
    }

    /// Frontend, backend and server as they stand in the line, `FRONTEND[~] BACKEND/SERVER`.
    pub fn raw_names(&self) -> &'a [u8] {
        self.span(self.client_end + 28, self.names_end)
    }

    fn names(&self) -> Names<'a> {
        Names::of(self.raw_names())
    }

    /// The frontend's name, without the `~` of TLS.
    pub fn frontend_name(&self) -> &'a [u8] {
        self.names().frontend
    }

    /// True when the client came over TLS (`~`).
    pub fn ssl(&self) -> bool {
        self.names().ssl
    }

    /// The backend's name.
    pub fn backend_name(&self) -> &'a [u8] {
        self.names().backend
    }

    /// The server's name, `<NOSRV>` or `<STATS>`.
    pub fn server_name(&self) -> &'a [u8] {
        self.names().server
    }

    /// The two characters of the termination state.
    pub fn termination_state(&self) -> &'a [u8] {
        self.span(self.numbers_end + 1, self.numbers_end + 3)
    }

    /// Concurrent connections when the line was written: of the process, the frontend, the backend, the server.
    pub fn connections(&self) -> [u32; 4] {
        split_connections(self.span(self.numbers_end + 4, self.line.len() as u32))
    }
}

/// Reads on from the timers.
pub(super) fn parse<'a>(mut cursor: Cursor<'a>, head: Head) -> Result<Tcp<'a>, Reject> {
    let Head { start, client_end, names_end } = head;
    let mut timers_ms = [0; 3];
    let mut logasap = false;
    for (index, field) in ["time_queue_ms", "time_connect_ms", "time_total_ms"].iter().enumerate() {
        logasap |= index == 2 && cursor.take(b'+');
        timers_ms[index] = timer(&mut cursor, field)?;
        cursor.expect(if index == 2 { b' ' } else { b'/' }, field)?;
    }
    let (bytes_read, incomplete) = bytes_read(&mut cursor)?;
    let numbers_end = cursor.field_end();
    termination_state(&mut cursor, 2)?;
    let (retries, redispatched) = connections(&mut cursor)?;
    let queues = queues(&mut cursor)?;
    if !cursor.rest().is_empty() {
        return cursor.reject(Reason::Delimiter, "backend_queue");
    }
    Ok(Tcp {
        line: cursor.line(),
        start,
        client_end,
        names_end,
        numbers_end,
        timers_ms,
        logasap: logasap || incomplete,
        redispatched,
        retries,
        queues,
        bytes_read,
    })
}
