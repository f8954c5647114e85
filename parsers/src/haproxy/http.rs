//! HTTP lines: `option httplog`, and `option httpslog`, which adds TLS fields behind it.
//!
//! ```text
//! %ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r
//! … %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc
//! ```
//!
//! HAProxy writes `"`, `#`, and in captures `{`, `|`, `}`, as `#XX`: none of them is ever part of a value.

use super::{Head, Names, bytes_read, connections, queues, split_client, split_connections, termination_state, timer};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// One request. Fields that only people read are cut out of the line when asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Http<'a> {
    /// The line that it stands in.
    pub(super) line: &'a [u8],
    /// Where the message starts in the line.
    pub(super) start: u32,
    /// Where the client ends; a space, the date in its brackets and a space follow.
    pub(super) client_end: u32,
    /// Where the server's name ends.
    pub(super) names_end: u32,
    /// Where timers, status code and bytes end.
    pub(super) numbers_end: u32,
    /// Where cookies and termination state end.
    pub(super) ending_end: u32,
    /// Where connections and queues end; a space follows.
    pub(super) queues_end: u32,
    /// TR, Tw, Tc, Tr, Ta in milliseconds; -1: that phase was never reached.
    pub timers_ms: [i32; 5],
    /// The status code, or -1 when there was none.
    pub status_code: i16,
    /// True when the line was written before the end: the last timer and the bytes are incomplete.
    pub logasap: bool,
    /// True when the line ends inside its captures or its request.
    pub truncated: bool,
    /// True when the session was sent to another server after a failure.
    pub redispatched: bool,
    /// True when the termination state begins with `-`.
    pub ended_normally: bool,
    /// Connection attempts beyond the first.
    pub retries: u32,
    /// Requests that were queued before this one at the server, and at the backend.
    pub queues: [u32; 2],
    /// Bytes sent to the client.
    pub bytes_read: u64,
    /// The `{…}` blocks, without braces; 0..0 when there is none.
    pub(super) captures: [(u32, u32); 2],
    /// The request line without its quotes; 0..0 when the line ends before it.
    pub(super) request: (u32, u32),
    /// Length of the request up to its first space.
    pub(super) method_length: u32,
    /// What [`method_word`] makes of it.
    pub(super) method_word: u64,
    /// The TLS fields of `option httpslog`; 0..0 when there are none.
    pub(super) tls: (u32, u32),
}

/// The TLS fields of a line of `option httpslog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// `fc_err`: error of the front connection, 0 for none.
    pub fc_err: &'a [u8],
    /// `ssl_fc_err` in hexadecimal.
    pub ssl_fc_err: &'a [u8],
    /// `ssl_c_err`: error of the client certificate.
    pub ssl_c_err: &'a [u8],
    /// `ssl_c_ca_err`: error of its authority.
    pub ssl_c_ca_err: &'a [u8],
    /// `ssl_fc_is_resumed`: `1` when the session was resumed.
    pub ssl_fc_is_resumed: &'a [u8],
    /// The name that the client asked for; `-` for none.
    pub ssl_fc_sni: &'a [u8],
    /// For example `TLSv1.3`; `-` for none.
    pub ssl_version: &'a [u8],
    /// The cipher's name; `-` for none.
    pub ssl_ciphers: &'a [u8],
}

impl core::fmt::Debug for Http<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = String::from_utf8_lossy;
        f.debug_struct("Http")
            .field("line", &text(self.line))
            .field("start", &self.start)
            .field("ends", &[self.client_end, self.names_end, self.numbers_end, self.ending_end, self.queues_end])
            .field("timers_ms", &self.timers_ms)
            .field("status_code", &self.status_code)
            .field("flags", &(self.logasap, self.truncated, self.redispatched))
            .field("retries", &self.retries)
            .field("queues", &self.queues)
            .field("bytes_read", &self.bytes_read)
            .field("captures", &self.captures)
            .field("request", &(self.request, self.method_length))
            .field("tls", &self.tls)
            .finish()
    }
}

impl<'a> Http<'a> {
    /// A request with nothing in it: what a batch holds before it is filled.
    pub(super) const fn empty() -> Self {
        Self {
            line: &[],
            start: 0,
            client_end: 0,
            names_end: 0,
            numbers_end: 0,
            ending_end: 0,
            queues_end: 0,
            timers_ms: [0; 5],
            status_code: 0,
            logasap: false,
            truncated: false,
            redispatched: false,
            ended_normally: true,
            retries: 0,
            queues: [0; 2],
            bytes_read: 0,
            captures: [(0, 0); 2],
            request: (0, 0),
            method_length: 0,
            method_word: 0,
            tls: (0, 0),
        }
    }

    fn span(&self, (start, end): (u32, u32)) -> &'a [u8] {
        self.line.get(start as usize..end as usize).unwrap_or_default()
    }

    fn client(&self) -> &'a [u8] {
        self.span((self.start, self.client_end))
    }

    /// The client's address, or `unix`.
    pub fn client_ip(&self) -> &'a [u8] {
        split_client(self.client()).0
    }

    /// The client's port, or the listener's number for a unix socket.
    pub fn client_port(&self) -> u32 {
        split_client(self.client()).1
    }

    /// When the request was received, `dd/Mon/yyyy:hh:mm:ss.mmm`, local time.
    pub fn accept_date(&self) -> &'a [u8] {
        self.span((self.client_end + 2, self.client_end + 26))
    }

    /// Frontend, backend and server as they stand in the line, `FRONTEND[~] BACKEND/SERVER`: a key as good
    /// as the three names.
    #[inline]
    pub fn raw_names(&self) -> &'a [u8] {
        self.span((self.client_end + 28, self.names_end))
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

    /// The captured request cookie; `-` for none. HAProxy escapes nothing in it: it may hold spaces.
    pub fn request_cookie(&self) -> &'a [u8] {
        self.cookies().0
    }

    /// The captured response cookie; `-` for none.
    pub fn response_cookie(&self) -> &'a [u8] {
        self.cookies().1
    }

    /// Where the cookies divide is not always to be told: spaces are taken for the request's.
    fn cookies(&self) -> (&'a [u8], &'a [u8]) {
        let cookies = self.span((self.numbers_end + 1, self.ending_end.saturating_sub(5)));
        let space = memchr::memrchr(b' ', cookies).unwrap_or(cookies.len());
        (&cookies[..space], cookies.get(space + 1..).unwrap_or_default())
    }

    /// The four characters of the termination state.
    #[inline]
    pub fn termination_state(&self) -> &'a [u8] {
        self.span((self.ending_end.saturating_sub(4), self.ending_end))
    }

    /// Concurrent connections when the line was written: of the process, the frontend, the backend, the server.
    pub fn connections(&self) -> [u32; 4] {
        split_connections(self.span((self.ending_end + 1, self.queues_end)))
    }

    /// Captured request headers in the order of their declaration; `None` when the line has no such block.
    ///
    /// A line with one block alone does not say whose it is: it is taken for the request's.
    pub fn request_headers(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        self.headers(0)
    }

    /// Captured response headers, as [`Http::request_headers`].
    pub fn response_headers(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        self.headers(1)
    }

    fn headers(&self, block: usize) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let found = self.captures[block] != (0, 0);
        found.then(|| self.span(self.captures[block]).split(|byte| *byte == b'|'))
    }

    /// The request up to its first space, as it is written: usually the method. `<BADREQ>` for none.
    #[inline]
    pub fn raw_method(&self) -> &'a [u8] {
        self.span((self.request.0, self.request.0 + self.method_length))
    }

    /// A short form of what [`Http::method`] says: two requests with equal pairs have the same method.
    #[inline(always)]
    pub fn method_key(&self) -> (u32, u64) {
        (self.method_length, self.method_word)
    }

    /// The request line as it is written.
    pub fn raw_request(&self) -> &'a [u8] {
        self.span(self.request)
    }

    /// The method, when the request is one.
    pub fn method(&self) -> Method<'a> {
        Method::of(self.raw_method())
    }

    /// What stands between method and version.
    fn target(&self) -> Option<&'a [u8]> {
        let request = self.raw_request();
        if self.method_length as usize >= request.len() || request.first() == Some(&b'<') {
            return None;
        }
        let rest = &request[self.method_length as usize + 1..];
        match memchr::memrchr(b' ', rest) {
            Some(space) if rest[space + 1..].starts_with(b"HTTP/") => Some(&rest[..space]),
            Some(space) if self.truncated => Some(&rest[..space]),
            _ => Some(rest),
        }
    }

    /// The path, without its query.
    pub fn path(&self) -> Option<&'a [u8]> {
        self.target().map(|target| &target[..memchr::memchr(b'?', target).unwrap_or(target.len())])
    }

    /// What follows the first `?` of the target.
    pub fn query(&self) -> Option<&'a [u8]> {
        let target = self.target()?;
        memchr::memchr(b'?', target).map(|mark| &target[mark + 1..])
    }

    /// For example `HTTP/1.1`.
    pub fn http_version(&self) -> Option<&'a [u8]> {
        let request = self.raw_request();
        let space = memchr::memrchr(b' ', request)?;
        let version = &request[space + 1..];
        let shape = |text: &[u8]| match text {
            [major] => major.is_ascii_digit(),
            [major, b'.', minor] => major.is_ascii_digit() && minor.is_ascii_digit(),
            _ => false,
        };
        version.strip_prefix(b"HTTP/").filter(|number| shape(number)).map(|_| version)
    }

    /// True when the line has the TLS fields of `option httpslog`.
    #[inline]
    pub fn has_tls(&self) -> bool {
        self.tls != (0, 0)
    }

    /// The TLS fields of `option httpslog`.
    pub fn tls(&self) -> Option<Tls<'a>> {
        if self.tls == (0, 0) { None } else { split_tls(self.span(self.tls)) }
    }
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// A method of the HTTP Method Registry.
    Known(&'a [u8]),
    /// HAProxy's `<BADREQ>`: the request could not be read.
    BadRequest,
    /// Something else, or cut off.
    Other,
}

impl<'a> Method<'a> {
    /// The HTTP Method Registry (IANA, 2024), without the `PRI` of HTTP/2's preface and `*`.
    const REGISTRY: [&'static [u8]; 38] = [
        b"GET",
        b"POST",
        b"HEAD",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"PATCH",
        b"CONNECT",
        b"TRACE",
        b"ACL",
        b"BASELINE-CONTROL",
        b"BIND",
        b"CHECKIN",
        b"CHECKOUT",
        b"COPY",
        b"LABEL",
        b"LINK",
        b"LOCK",
        b"MERGE",
        b"MKACTIVITY",
        b"MKCALENDAR",
        b"MKCOL",
        b"MKREDIRECTREF",
        b"MKWORKSPACE",
        b"MOVE",
        b"ORDERPATCH",
        b"PROPFIND",
        b"PROPPATCH",
        b"QUERY",
        b"REBIND",
        b"REPORT",
        b"SEARCH",
        b"UNBIND",
        b"UNCHECKOUT",
        b"UNLINK",
        b"UNLOCK",
        b"UPDATE",
        b"VERSION-CONTROL",
    ];

    /// What `word` is.
    pub fn of(word: &'a [u8]) -> Self {
        if word == b"<BADREQ>" {
            Self::BadRequest
        } else if Self::REGISTRY.contains(&word) {
            Self::Known(word)
        } else {
            Self::Other
        }
    }
}

impl Method<'_> {
    /// A short form of what [`Method::of`] says of `word`: words with equal pairs are the same method.
    pub fn key(word: &[u8]) -> (u32, u64) {
        (word.len() as u32, method_word(word))
    }
}

/// The bytes of a method, packed; of one longer than eight bytes its place in the registry, or all ones.
pub(super) fn method_word(raw: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    match bytes.get_mut(..raw.len()) {
        Some(room) => room.copy_from_slice(raw),
        None => {
            let known = Method::REGISTRY.iter().position(|method| *method == raw);
            return known.map_or(u64::MAX, |index| index as u64);
        }
    }
    u64::from_le_bytes(bytes)
}

/// Reads on from the timers.
pub(super) fn parse<'a>(mut cursor: Cursor<'a>, head: Head) -> Result<Http<'a>, Reject> {
    let Head { start, client_end, names_end } = head;
    let mut http = Http { line: cursor.line(), start, client_end, names_end, ..Http::empty() };
    const TIMERS: [&str; 5] =
        ["time_request_ms", "time_queue_ms", "time_connect_ms", "time_response_ms", "time_active_ms"];
    for (index, field) in TIMERS.iter().enumerate() {
        http.logasap |= index == 4 && cursor.take(b'+');
        http.timers_ms[index] = timer(&mut cursor, field)?;
        cursor.expect(if index == 4 { b' ' } else { b'/' }, field)?;
    }
    http.status_code = status_code(&mut cursor)?;
    let (bytes, incomplete) = bytes_read(&mut cursor)?;
    http.bytes_read = bytes;
    http.logasap |= incomplete;
    http.numbers_end = cursor.field_end();
    let cookies = cursor;
    cursor.until(b' ', "request_cookie")?;
    cursor.until(b' ', "response_cookie")?;
    if let Err(reject) = termination_state(&mut cursor, 4) {
        cursor = behind_cookies(cookies).ok_or(reject)?;
    }
    http.ending_end = cursor.field_end();
    http.ended_normally = http.termination_state().first() == Some(&b'-');
    (http.retries, http.redispatched) = connections(&mut cursor)?;
    http.queues = queues(&mut cursor)?;
    cursor.expect(b' ', "backend_queue")?;
    http.queues_end = cursor.field_end();
    captures(&mut cursor, &mut http)?;
    if !http.truncated {
        request(&mut cursor, &mut http)?;
    }
    Ok(http)
}

/// Finds the end of the termination state behind cookies that hold spaces. The last place that fits is the
/// right one: behind it, braces and quotes are written as `#XX`, so that nothing there can imitate it.
fn behind_cookies(cookies: Cursor<'_>) -> Option<Cursor<'_>> {
    let spaces = memchr::memrchr_iter(b' ', cookies.rest());
    let mut places = spaces.map(|space| Cursor::new(cookies.line(), cookies.at() + space + 1));
    places.find_map(|place| {
        let mut end = place;
        termination_state(&mut end, 4).ok()?;
        let mut rest = end;
        connections(&mut rest).ok()?;
        queues(&mut rest).ok()?;
        let is_followed = rest.take(b' ') && matches!(rest.rest().first(), Some(b'{' | b'"'));
        is_followed.then_some(end)
    })
}

/// Three digits, or `-1`. HAProxy writes `0` for a request that it made itself.
fn status_code(cursor: &mut Cursor<'_>) -> Result<i16, Reject> {
    let start = *cursor;
    let code = if cursor.take(b'-') {
        if cursor.number(u64::MAX, "status_code")? != 1 {
            return start.reject(Reason::Range, "status_code");
        }
        -1
    } else {
        cursor.number(999, "status_code")? as i16
    };
    cursor.expect(b' ', "status_code")?;
    Ok(code)
}

/// Up to two `{…} ` blocks.
fn captures<'a>(cursor: &mut Cursor<'a>, http: &mut Http<'a>) -> Result<(), Reject> {
    const FIELDS: [&str; 2] = ["request_headers", "response_headers"];
    for (block, field) in FIELDS.iter().enumerate() {
        if !cursor.take(b'{') {
            break;
        }
        let start = cursor.at() as u32;
        let rest = cursor.rest();
        let Some(length) = memchr::memchr(b'}', rest) else {
            http.captures[block] = (start, start + rest.len() as u32);
            http.truncated = true;
            return Ok(());
        };
        http.captures[block] = (start, start + length as u32);
        *cursor = Cursor::new(http.line, start as usize + length + 1);
        if cursor.rest().is_empty() {
            http.truncated = true;
            return Ok(());
        }
        cursor.expect(b' ', field)?;
    }
    http.truncated = cursor.rest().is_empty();
    Ok(())
}

/// `"METHOD TARGET VERSION"` to the end of the line, or to the TLS fields.
fn request(cursor: &mut Cursor<'_>, http: &mut Http<'_>) -> Result<(), Reject> {
    cursor.expect(b'"', "http_request")?;
    let start = cursor.at();
    let rest = cursor.rest();
    // HAProxy never writes a quote inside: behind the first one the request is over.
    let length = match memchr::memchr(b'"', rest) {
        Some(length) if length + 1 == rest.len() => length,
        Some(length) => {
            tls(Cursor::new(http.line, start + length + 1), http)?;
            length
        }
        None => {
            http.truncated = true;
            rest.len()
        }
    };
    http.request = (start as u32, (start + length) as u32);
    http.method_length = memchr::memchr(b' ', &rest[..length]).unwrap_or(length) as u32;
    http.method_word = method_word(&rest[..http.method_length as usize]);
    Ok(())
}

/// ` 0/0000000000000000/0/0/0 SNI/VERSION/CIPHERS` to the end of the line.
fn tls(mut cursor: Cursor<'_>, http: &mut Http<'_>) -> Result<(), Reject> {
    cursor.expect(b' ', "fc_err")?;
    let tls = cursor.rest();
    if split_tls(tls).is_some() {
        http.tls = (cursor.at() as u32, (cursor.at() + tls.len()) as u32);
        return Ok(());
    }
    // Cut anywhere inside: what is left of the cut has the shape of a beginning.
    let errors = tls.iter().take_while(|byte| **byte != b' ');
    if errors.clone().all(|byte| byte.is_ascii_hexdigit() || *byte == b'/' || *byte == b'-') {
        http.truncated = true;
        return Ok(());
    }
    cursor.reject(Reason::Grammar, "fc_err")
}

/// The name that the client asked for may hold anything, slashes and spaces included: the fields around it
/// are taken from both ends.
fn split_tls(text: &[u8]) -> Option<Tls<'_>> {
    let space = memchr::memchr(b' ', text)?;
    let mut errors = text[..space].split(|byte| *byte == b'/');
    let mut next =
        || errors.next().filter(|word| !word.is_empty() && word.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-'));
    let [fc_err, ssl_fc_err, ssl_c_err, ssl_c_ca_err, ssl_fc_is_resumed] =
        [next()?, next()?, next()?, next()?, next()?];
    if errors.next().is_some() {
        return None;
    }
    let rest = &text[space + 1..];
    let ciphers = memchr::memrchr(b'/', rest)?;
    let version = memchr::memrchr(b'/', &rest[..ciphers])?;
    Some(Tls {
        fc_err,
        ssl_fc_err,
        ssl_c_err,
        ssl_c_ca_err,
        ssl_fc_is_resumed,
        ssl_fc_sni: &rest[..version],
        ssl_version: &rest[version + 1..ciphers],
        ssl_ciphers: &rest[ciphers + 1..],
    })
}
