//! HAProxy's own log formats, and which one a proxy has. The strings are the same from 2.4 to 3.x.

use super::{Place, Word};

pub(super) const HTTP: &str = concat!(
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc ",
    "%ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
);
pub(super) const HTTPS: &str = concat!(
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc ",
    "%ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r ",
    "%[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] ",
    "%[ssl_fc_sni]/%sslv/%sslc"
);
pub(super) const TCP: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
pub(super) const HTTP_CLF: &str = concat!(
    "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc ",
    "%ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl"
);
pub(super) const TCP_CLF: &str = concat!(
    "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- ",
    "%ac %fc %bc %sc %rc %sq %bq \"\" \"\" "
);

/// The format of a proxy's lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// `option httplog`
    HttpLog,
    /// `option httplog clf`
    HttpLogClf,
    /// `option httpslog`
    HttpsLog,
    /// `option tcplog`
    TcpLog,
    /// `option tcplog clf`, since 3.1
    TcpLogClf,
    /// `log-format`
    Custom(Word),
}

impl Format {
    /// The format as a `log-format` string.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::HttpLog => HTTP.as_bytes(),
            Self::HttpLogClf => HTTP_CLF.as_bytes(),
            Self::HttpsLog => HTTPS.as_bytes(),
            Self::TcpLog => TCP.as_bytes(),
            Self::TcpLogClf => TCP_CLF.as_bytes(),
            Self::Custom(word) => word.text(),
        }
    }

    /// How the configuration asks for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::HttpLog => "option httplog",
            Self::HttpLogClf => "option httplog clf",
            Self::HttpsLog => "option httpslog",
            Self::TcpLog => "option tcplog",
            Self::TcpLogClf => "option tcplog clf",
            Self::Custom(_) => "log-format",
        }
    }
}

/// A format, and the line that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// The format.
    pub format: Format,
    /// Where it is asked for, maybe in a `defaults` section.
    pub place: Place,
}
