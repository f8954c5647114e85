//! Dovecot's metrics, and how its lines update them.

use tailmeter_parsers::dovecot::{self, AuthFailure, Delivery, Disconnection, Event, Login, LoginAbort};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

const METRICS: &[Metric] = &[
    Metric::counter("dovecot_log_logins_total", "Logins, those at a server behind this one included.", &[
        "protocol", "method", "tls",
    ])
    .with(&["user", "rip", "session"]),
    Metric::counter("dovecot_log_login_aborts_total", "Connections that ended before anyone had logged in.", &[
        "protocol", "reason",
    ])
    .with(&["method", "tls", "user", "rip", "session"]),
    Metric::counter("dovecot_log_auth_failures_total", "Logins that a passdb or a mechanism refused.", &[
        "backend", "reason",
    ])
    .with(&["user", "rip", "session"]),
    Metric::counter("dovecot_log_disconnections_total", "Sessions that ended.", &["protocol", "reason"])
        .with(&["user", "session"]),
    Metric {
        unit: Unit::Bytes,
        ..Metric::counter(
            "dovecot_log_session_bytes_total",
            "Bytes of the sessions that ended; of POP3 those of messages, unless `pop3_logout_format` has `in=` and `out=`.",
            &["protocol", "direction"],
        )
    }
    .with(&["user", "session"]),
    Metric::counter("dovecot_log_deliveries_total", "What was done with messages; one can have several.", &[
        "protocol", "action",
    ])
    .with(&["user", "session", "mailbox"]),
];

places! { LOGINS, LOGIN_ABORTS, AUTH_FAILURES, DISCONNECTIONS, SESSION_BYTES, DELIVERIES }

const LABELS: &[Label] = &[
    Label::new("protocol", "`imap`, `pop3`, `submission`, `managesieve`, `lmtp`, `lda`, `doveadm` or `other`."),
    Label::new(
        "method",
        "The SASL mechanism: `PLAIN`, `LOGIN`, `CRAM-MD5`, `XOAUTH2`, …; `other` for one that Dovecot does not have.",
    ),
    Label::new("tls", "`true` when the connection was encrypted."),
    Label::new(
        "reason",
        "Of aborts, the code that Dovecot 2.4 logs (`auth_failed`, `no_auth_attempts`, …), into which 2.3's and 2.2's words are \
         translated. Of failures `unknown_user`, `password_mismatch`, …; of disconnections `logged_out`, `connection_closed`, \
         `inactivity`, …. `other` for what is in no table.",
    ),
    Label::new(
        "backend",
        "The passdb's name, its driver where it has none, or the mechanism that refused; `other` where the line does not say.",
    ),
    Label::new("direction", "`in`: from the client; `out`: to it."),
    Label::new("action", "`stored`, `forwarded`, `rejected`, `discarded` or `failed`."),
    Label::private("user", "The user's name; at a login that fails whatever the client sent."),
    Label::private("rip", "The client's address."),
    Label::private("session", "The session's id."),
    Label::private("mailbox", "The mailbox that a message went to."),
];

/// The places of the labels there.
mod label {
    places! { PROTOCOL, METHOD, TLS, REASON, BACKEND, DIRECTION, ACTION, USER, RIP, SESSION, MAILBOX }
}

/// Dovecot.
pub const FAMILY: Family =
    Family { name: "dovecot", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Dovecot>()) };

/// Counts Dovecot's events.
pub(super) struct Dovecot;

impl Count for Dovecot {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = dovecot::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(dovecot::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = dovecot::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        match event {
            Event::Login(Login { process, elements }) => {
                rows.count(LOGINS, |label| match label {
                    label::PROTOCOL => process.protocol().as_bytes(),
                    _ => of_elements(elements, label),
                });
            }
            Event::LoginAbort(LoginAbort { process, reason, elements }) => {
                rows.count(LOGIN_ABORTS, |label| match label {
                    label::PROTOCOL => process.protocol().as_bytes(),
                    label::REASON => reason.as_bytes(),
                    _ => of_elements(elements, label),
                });
            }
            Event::AuthFailure(AuthFailure { request, reason, .. }) => {
                rows.count(AUTH_FAILURES, |label| match label {
                    label::BACKEND if request.backend.is_empty() => b"other",
                    label::BACKEND => request.backend,
                    label::REASON => reason.as_bytes(),
                    label::USER => request.user,
                    label::RIP => request.rip,
                    label::SESSION => request.session,
                    _ => b"",
                });
            }
            Event::Disconnection(disconnection) => disconnected(disconnection, rows),
            Event::Delivery(Delivery { process, action, mailbox, .. }) => {
                rows.count(DELIVERIES, |label| match label {
                    label::PROTOCOL => process.protocol().as_bytes(),
                    label::ACTION => action.as_str().as_bytes(),
                    label::USER => process.user(),
                    label::SESSION => process.session,
                    label::MAILBOX => mailbox,
                    _ => b"",
                });
            }
            Event::Known(_) => {}
        }
    }
}

/// Counts a session that ended, and its bytes.
fn disconnected(Disconnection { process, user, session, reason, counts }: &Disconnection<'_>, rows: &mut Rows) {
    let value = |label, direction| match label {
        label::PROTOCOL => process.protocol().as_bytes(),
        label::REASON => reason.as_bytes(),
        label::DIRECTION => direction,
        label::USER => user,
        label::SESSION => session,
        _ => b"",
    };
    rows.count(DISCONNECTIONS, |label| value(label, b""));
    for (direction, bytes) in [(&b"in"[..], counts.bytes_in), (b"out", counts.bytes_out)] {
        if let Some(bytes) = bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
            rows.add(SESSION_BYTES, bytes, |label| value(label, direction));
        }
    }
}

/// The value of a label that `login_log_format_elements` has.
fn of_elements<'a>(elements: &dovecot::Elements<'a>, label: usize) -> &'a [u8] {
    match label {
        label::METHOD => elements.mechanism(),
        label::TLS if elements.has_tls() => b"true",
        label::TLS => b"false",
        label::USER => elements.user,
        label::RIP => elements.rip,
        label::SESSION => elements.session,
        _ => b"",
    }
}
