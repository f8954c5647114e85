//! How the lines of one source may be laid out: the usual log-formats, one of the operator's own, or all of a
//! haproxy.cfg, each for its frontends.

use std::sync::LazyLock;

use super::format::{Layout, Mistake, Place, Record, Spans};
use super::{Notice, connection_error};
use crate::envelope::Envelope;
use crate::{Reason, Reject};

/// `option httplog` (HAProxy configuration manual, 8.2.3).
pub const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                           %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option httpslog` (8.2.4).
pub const HTTPSLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                            %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r \
                            %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
                            %[ssl_fc_sni]/%sslv/%sslc";
/// `option tcplog` (8.2.2).
pub const TCPLOG: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// `option httplog clf`.
pub const CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc \
                       %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option tcplog clf` (HAProxy 3.1 and later).
pub const TCPCLF: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- \
                          %ac %fc %bc %sc %rc %sq %bq \"\" \"\"";

/// The layouts that lines of a source may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layouts {
    known: Vec<Known>,
}

/// A layout, and whose lines have it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    layout: Layout,
    is_http: bool,
    /// The frontends that write it; empty: any.
    frontends: Vec<Vec<u8>>,
}

/// What a line turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'r, 'a> {
    /// A request or a session, laid out as number `layout` of the [`Layouts`] says.
    Record {
        /// The layout's number.
        layout: usize,
        /// Its values.
        record: Record<'r, 'a>,
    },
    /// Something else.
    Notice(Notice),
}

impl Layouts {
    /// What HAProxy writes without a log-format of one's own.
    pub fn usual() -> &'static Self {
        static USUAL: LazyLock<Layouts> = LazyLock::new(|| {
            let texts = [HTTPLOG, HTTPSLOG, TCPLOG, CLF, TCPCLF];
            let known = texts.iter().filter_map(|text| Layout::of(text).ok()).map(Known::of);
            Layouts { known: known.collect() }
        });
        &USUAL
    }

    /// One log-format for all lines.
    ///
    /// # Errors
    /// The mistake in it.
    pub fn of_log_format(text: &str) -> Result<Self, Mistake> {
        Ok(Self { known: vec![Known::of(Layout::of(text)?)] })
    }

    /// The layouts, by their number.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Layout> {
        self.known.iter().map(|known| &known.layout)
    }

    /// True when lines of layout `number` are requests, and not sessions.
    pub fn is_http(&self, number: usize) -> bool {
        self.known.get(number).is_some_and(|known| known.is_http)
    }

    /// Reads a line whose envelope is known.
    ///
    /// # Errors
    /// Where the line left the layout that it followed furthest.
    pub fn read<'r, 'a>(
        &'r self,
        line: &'a [u8],
        envelope: &Envelope<'a>,
        spans: &'r mut Spans,
    ) -> Result<Reading<'r, 'a>, Reject> {
        let message = line.get(envelope.start..envelope.end).unwrap_or_default();
        if let Some(notice) = Notice::of(message).or_else(|| connection_error(line, envelope)) {
            return Ok(Reading::Notice(notice));
        }
        let mut cut: Option<(usize, usize)> = None;
        let mut refused = Reject { reason: Reason::UnknownForm, field: "message", offset: envelope.start };
        for (number, known) in self.known.iter().enumerate() {
            match known.read(line, envelope, spans) {
                Ok(None) => {}
                Ok(Some(values)) if !spans.truncated() => {
                    let _ = values;
                    return Ok(Reading::Record { layout: number, record: known.layout.record(line, envelope, spans) });
                }
                // The one that explains most of the line, but not if that could as well be another kind of line.
                Ok(Some(values)) => match cut {
                    Some((most, other)) if most == values && self.is_http(other) != known.is_http => cut = None,
                    Some((most, _)) if most >= values => {}
                    _ => cut = Some((values, number)),
                },
                Err(reject) if reject.offset >= refused.offset => refused = reject,
                Err(_) => {}
            }
        }
        let Some((_, number)) = cut else { return Err(refused) };
        let known = &self.known[number];
        known.read(line, envelope, spans)?;
        Ok(Reading::Record { layout: number, record: known.layout.record(line, envelope, spans) })
    }
}

impl Known {
    fn of(layout: Layout) -> Self {
        let is_http = layout.is_http();
        Self { layout, is_http, frontends: Vec::new() }
    }

    /// The number of values that were read; `None` when the line is another frontend's.
    fn read(&self, line: &[u8], envelope: &Envelope<'_>, spans: &mut Spans) -> Result<Option<usize>, Reject> {
        let record = self.layout.read(line, envelope, spans)?;
        if self.frontends.is_empty() {
            return Ok(Some(record.len()));
        }
        let name = record.text(Place::FrontendName).unwrap_or_default();
        let name = name.strip_suffix(b"~").unwrap_or(name);
        Ok(self.frontends.iter().any(|frontend| frontend == name).then_some(record.len()))
    }
}
