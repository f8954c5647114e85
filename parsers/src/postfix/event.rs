//! What Postfix's lines say, as types: one variant of [`Event`] for each kind of line that something counts.
//!
//! Addresses, names, replies and other text are slices of the line as Postfix wrote them; all of it may come from
//! strangers. Only [`words`](super::words) and checked numbers are fit for labels.

use super::words::{
    Action, Cause, Direction, Failure, Lost, Notification, Pass, Removal, Severity, Stage, Status, Test, Trust,
};

/// What a Postfix line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `connect from NAME[ADDRESS]`: a session begins (smtpd, postscreen, qmqpd).
    Connect(Connect<'a>),
    /// `disconnect from NAME[ADDRESS] ehlo=1 …`: a session has ended (smtpd, qmqpd).
    Disconnect(Disconnect<'a>),
    /// `QID: client=NAME[ADDRESS]…`: a message has its first recipient (smtpd, qmqpd).
    Client(Client<'a>),
    /// Something was refused, held, redirected …, or only noted by an access rule, a milter or a check of content.
    Reject(Rejection<'a>),
    /// `warning: NAME[ADDRESS]: SASL METHOD authentication failed: …` (smtpd).
    SaslFailure(SaslFailure<'a>),
    /// `lost connection after STAGE from NAME[ADDRESS]` and its like (smtpd).
    LostConnection(LostConnection<'a>),
    /// `Anonymous TLS connection established from …` (smtpd, smtp, lmtp, tlsproxy).
    Tls(Tls<'a>),
    /// `QID: uid=N from=<…>`: a message of a local user (pickup).
    Pickup(Pickup<'a>),
    /// `QID: message-id=<…>` (cleanup).
    MessageId(MessageId<'a>),
    /// `QID: from=<…>, size=N, nrcpt=N (queue active)` (qmgr): whenever the message becomes active, so again after
    /// each deferral.
    Queued(Queued<'a>),
    /// `QID: removed` (qmgr, postsuper, cleanup).
    Removed(Removed<'a>),
    /// `QID: from=<…>, status=expired, returned to sender` (qmgr).
    Expired(Expired<'a>),
    /// `QID: to=<…>, relay=…, … status=… (…)`: an attempt to deliver to one recipient.
    Delivery(Delivery<'a>),
    /// `QID: sender non-delivery notification: QID` (bounce).
    Bounce(Bounce<'a>),
    /// `connect to HOST[ADDRESS]:PORT: …` (smtp, lmtp).
    ConnectFailure(ConnectFailure<'a>),
    /// `PASS NEW [ADDRESS]:PORT` and its like (postscreen).
    Passed(Passed<'a>),
    /// `PREGREET 11 after 0.1 from [ADDRESS]:PORT: …` and its like (postscreen).
    TestFailed(TestFailed<'a>),
    /// `addr ADDRESS listed by domain LIST as ADDRESS` (dnsblog).
    Listed(Listed<'a>),
    /// `warning: …`, `error: …`, `fatal: …`, `panic: …` (any).
    Warning(Warning<'a>),
    /// A line that nothing counts, by its kind.
    Known(&'static str),
}

/// A session's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The client.
    pub client: Peer<'a>,
}

/// The other side of a connection as Postfix writes it: `name[address]`, `name[address]:port`, `[address]:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Peer<'a> {
    /// The name that its address has; `unknown` when it has none, empty when the program does not ask for it.
    pub name: &'a [u8],
    /// The address, or the path of a socket; `unknown` where it could not be found out.
    pub address: &'a [u8],
    /// The port, where it is logged.
    pub port: Option<u16>,
}

/// A session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// The client.
    pub client: Peer<'a>,
    /// What the session's summary says, one by one (`ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4`).
    pub commands: Commands<'a>,
    /// True when the summary says that there were commands and that all of them succeeded. `None` when the line has no
    /// summary (qmqpd), or is cut before its end.
    pub clean: Option<bool>,
    /// What `notes=` says, such as `bare_lf`; empty for nothing.
    pub notes: &'a [u8],
}

/// One command of a session's summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name in lower case (`rcpt`); `unknown` for what Postfix does not know.
    pub name: &'static str,
    /// How often it succeeded.
    pub accepted: u32,
    /// How often it was sent; never less than `accepted`.
    pub total: u32,
}

/// The commands of a session's summary: an iterator that reads on in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commands<'a> {
    /// What is left of the summary; only whole items, without those that are no commands.
    pub(super) rest: &'a [u8],
}

/// A message that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// The message's queue id; `None` for `NOQUEUE` (a before-queue filter has the message).
    pub queue_id: Option<&'a [u8]>,
    /// The client.
    pub client: Peer<'a>,
    /// The SASL mechanism, when the client has logged in: one of [`sasl_method`](super::sasl_method)'s words, or `other`.
    pub sasl_method: Option<&'static str>,
    /// The name by which it has.
    pub sasl_username: &'a [u8],
    /// The sender that the client authenticated (`AUTH=`).
    pub sasl_sender: &'a [u8],
    /// The queue id that the message had before it went through a filter (XFORWARD).
    pub orig_queue_id: &'a [u8],
    /// The client from which the message came before that.
    pub orig_client: &'a [u8],
}

/// Something that an access rule, a milter or a check of content acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The message's queue id; `None` for `NOQUEUE`.
    pub queue_id: Option<&'a [u8]>,
    /// What was done.
    pub action: Action,
    /// When.
    pub stage: Stage,
    /// The client; empty for mail that came by none.
    pub client: Peer<'a>,
    /// The reply's three digits. `None` where none was sent or logged (cleanup's `milter-reject`, `hold`, …).
    pub code: Option<u16>,
    /// The reply's enhanced status code (`5.7.1`), if it has one.
    pub enhanced: &'a [u8],
    /// The reply or remark without its codes. It begins with the client's own words in `<…>`, if they were refused;
    /// a DNS list or a policy service may have worded the rest.
    pub text: &'a [u8],
    /// What a fixed table makes of `text`.
    pub cause: Cause,
    /// The line of the message that a check of its content found; empty for all else.
    pub content: &'a [u8],
    /// The envelope's sender, without brackets; `None` when it is not known yet.
    pub from: Option<&'a [u8]>,
    /// The recipient, without brackets; `None` when it is not known yet.
    pub to: Option<&'a [u8]>,
    /// The protocol (`ESMTP`).
    pub proto: &'a [u8],
    /// The name that the client gave itself.
    pub helo: &'a [u8],
    /// The SASL mechanism as it is written; empty for none.
    pub sasl_method: &'a [u8],
    /// The name by which the client has logged in.
    pub sasl_username: &'a [u8],
}

/// A failed login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslFailure<'a> {
    /// The client.
    pub client: Peer<'a>,
    /// The mechanism: one of [`sasl_method`](super::sasl_method)'s words, or `other`.
    pub method: &'static str,
    /// What the authentication server says; may be empty. With a mechanism of challenges it is the challenge, encoded.
    pub reason: &'a [u8],
    /// The name that was tried (3.5 and later); empty when it is not known.
    pub sasl_username: &'a [u8],
    /// True when no credentials were found wrong: the client gave up (`authentication aborted`), or the
    /// authentication server is not there (`Connection lost to authentication server`).
    pub is_aborted: bool,
}

/// A session that did not end by QUIT, or broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostConnection<'a> {
    /// The message's queue id (3.10 and later); `None` for `NOQUEUE` and before.
    pub queue_id: Option<&'a [u8]>,
    /// How.
    pub reason: Lost,
    /// After which command.
    pub stage: Stage,
    /// How much of the message had come, where it was being sent.
    pub bytes: Option<u64>,
    /// The client.
    pub client: Peer<'a>,
}

/// A TLS session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// The message that it is for (smtp with `smtp_tls_connection_reuse` and others); empty for none.
    pub queue_id: &'a [u8],
    /// What is known of the other side's certificate.
    pub trust: Trust,
    /// True when the session was one of an earlier message's (3.4 and later).
    pub reused: bool,
    /// From a client, or to a server.
    pub direction: Direction,
    /// The other side.
    pub peer: Peer<'a>,
    /// The name that the client asked for, if it was accepted.
    pub sni: &'a [u8],
    /// `TLSv1.3` and its like: checked to be a word of letters, digits, `.`; `other` when it is none.
    pub protocol: &'a [u8],
    /// The cipher's name: checked to be a word of letters, digits, `-`, `_`; `other` when it is none.
    pub cipher: &'a [u8],
    /// Bits in use, and bits of the algorithm.
    pub bits: [u16; 2],
}

/// A message of a local user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pickup<'a> {
    /// The message's queue id.
    pub queue_id: &'a [u8],
    /// Who submitted it.
    pub uid: u32,
    /// The envelope's sender, without brackets.
    pub from: &'a [u8],
    /// The name of the message's file, when postsuper has requeued it.
    pub orig_id: &'a [u8],
}

/// A message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId<'a> {
    /// The message's queue id.
    pub queue_id: &'a [u8],
    /// What the header says: anything.
    pub message_id: &'a [u8],
    /// True for `resent-message-id`.
    pub resent: bool,
}

/// A message that becomes active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued<'a> {
    /// The message's queue id.
    pub queue_id: &'a [u8],
    /// The envelope's sender, without brackets.
    pub from: &'a [u8],
    /// Its size in bytes.
    pub size: u64,
    /// How many recipients are left.
    pub nrcpt: u32,
}

/// A message that leaves the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed<'a> {
    /// The message's queue id.
    pub queue_id: &'a [u8],
    /// Why.
    pub how: Removal,
}

/// A message that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired<'a> {
    /// The message's queue id.
    pub queue_id: &'a [u8],
    /// The envelope's sender, without brackets.
    pub from: &'a [u8],
    /// True when an administrator wanted it (`postsuper -e`).
    pub forced: bool,
}

/// An attempt to deliver to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The message's queue id.
    pub queue_id: &'a [u8],
    /// The recipient, without brackets.
    pub to: &'a [u8],
    /// The recipient as it came, when it was changed; otherwise empty.
    pub orig_to: &'a [u8],
    /// `none`, `local`, `virtual`, a service's name, `host[address]:port`, `host[path]`.
    pub relay: &'a [u8],
    /// Which message of its connection this is, from 2 on; 1 when the line does not say.
    pub conn_use: u32,
    /// Time since the message came, in milliseconds.
    pub delay_ms: u64,
    /// The parts of it: before the queue manager, in it, setting up the connection, transmitting; in milliseconds.
    pub delays_ms: [u64; 4],
    /// What was asked of TLS, and what became of it (3.11 and later); empty when the line has none.
    pub tls: &'a [u8],
    /// The enhanced status code (`2.0.0`): checked to be one; empty when it is not.
    pub dsn: &'a [u8],
    /// What became of it.
    pub status: Status,
    /// What the parentheses at the end hold: the server's reply or Postfix's own words.
    pub text: &'a [u8],
    /// The queue id that the next Postfix gave the message, as its reply says (`queued as QID`): only a hint, because
    /// any server may say so. Empty when the reply has none.
    pub queued_as: &'a [u8],
    /// True when the line ends before the parenthesis that closes it.
    pub truncated: bool,
}

/// A notification that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounce<'a> {
    /// The queue id of the message that it is about.
    pub queue_id: &'a [u8],
    /// What it is about.
    pub kind: Notification,
    /// True when it goes to the postmaster, not to the sender.
    pub to_postmaster: bool,
    /// Its own queue id.
    pub notification: &'a [u8],
}

/// A connection to a server that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectFailure<'a> {
    /// The message that it was for; empty when the line does not say.
    pub queue_id: &'a [u8],
    /// The server.
    pub peer: Peer<'a>,
    /// Why, by a fixed table.
    pub reason: Failure,
    /// Why, in words.
    pub text: &'a [u8],
}

/// A client that postscreen hands on to smtpd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed<'a> {
    /// Why.
    pub kind: Pass,
    /// The client.
    pub client: Peer<'a>,
}

/// A client that failed a test of postscreen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestFailed<'a> {
    /// Which.
    pub test: Test,
    /// The score, for [`Test::Dnsbl`].
    pub rank: Option<i32>,
    /// The time after which it did, in milliseconds, for [`Test::Pregreet`] and [`Test::Hangup`].
    pub after_ms: Option<u64>,
    /// The client.
    pub client: Peer<'a>,
    /// What it sent, or after which command it was; empty where the line does not say.
    pub text: &'a [u8],
}

/// A client that a DNS list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The client's address.
    pub address: &'a [u8],
    /// The list's domain, as the administrator wrote it.
    pub list: &'a [u8],
    /// The list's answer.
    pub answer: &'a [u8],
}

/// A line by which a program complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of complaint it is, where something depends on it; otherwise `other`.
    pub kind: &'static str,
    /// What it says.
    pub text: &'a [u8],
}
