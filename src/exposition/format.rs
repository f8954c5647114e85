//! The forms of the exposition, and what they are called in HTTP: <https://prometheus.io/docs/instrumenting/content_negotiation/>.

/// How samples are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Prometheus text, version 0.0.4: what is written when nothing else is asked for.
    #[default]
    Text004,
    /// Prometheus text, version 1.0.0. It differs from 0.0.4 only in names that tailmeter does not have.
    Text100,
    /// OpenMetrics text, version 0.0.1. It is written like 1.0.0, as every library does.
    OpenMetrics001,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics100,
    /// Messages `io.prometheus.client.MetricFamily`, each behind its length.
    Protobuf,
}

impl Protocol {
    /// True for both versions of OpenMetrics.
    pub const fn is_openmetrics(self) -> bool {
        matches!(self, Self::OpenMetrics001 | Self::OpenMetrics100)
    }
}

/// What a reader wants done to names that older readers do not take. tailmeter has no such names, so that all of these
/// are the same: the answer only says what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// Nothing.
    AllowUtf8,
    /// Underscores in the place of what older readers do not take.
    Underscores,
    /// As `U__…`, so that they can be read back.
    Values,
}

impl Escaping {
    /// The scheme called `name`. `dots` would double every underscore of every name: to whoever asks for it, the answer is
    /// `underscores`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            // The specification has both spellings, Prometheus the first one.
            "allow-utf-8" | "allow-utf8" => Some(Self::AllowUtf8),
            "underscores" | "dots" => Some(Self::Underscores),
            "values" => Some(Self::Values),
            _ => None,
        }
    }
}

/// A form as it is asked for and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// How samples are written.
    pub protocol: Protocol,
    /// The scheme that was asked for, if any.
    pub escaping: Option<Escaping>,
}

impl Format {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        macro_rules! with_escaping {
            ($type:literal, $unless_asked:literal) => {
                match self.escaping {
                    None => concat!($type, $unless_asked),
                    Some(Escaping::AllowUtf8) => concat!($type, "; escaping=allow-utf-8"),
                    Some(Escaping::Underscores) => concat!($type, "; escaping=underscores"),
                    Some(Escaping::Values) => concat!($type, "; escaping=values"),
                }
            };
        }
        match self.protocol {
            Protocol::Text004 => with_escaping!("text/plain; version=0.0.4; charset=utf-8", ""),
            // Here the scheme must always be there.
            Protocol::Text100 => with_escaping!("text/plain; version=1.0.0; charset=utf-8", "; escaping=underscores"),
            Protocol::OpenMetrics001 => {
                with_escaping!("application/openmetrics-text; version=0.0.1; charset=utf-8", "")
            }
            Protocol::OpenMetrics100 => {
                with_escaping!("application/openmetrics-text; version=1.0.0; charset=utf-8", "")
            }
            Protocol::Protobuf => with_escaping!(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                ""
            ),
        }
    }
}
