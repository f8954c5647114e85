//! The servers that check SPF for Postfix: policyd-spf (Python) and postfix-policyd-spf-perl.
//!
//! ```text
//! prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=a.example; envelope-from=b@c.example; receiver=d.example
//! 550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see http://www.openspf.net/Why?s=mfrom;id=…
//! Policy action=PREPEND Received-SPF: pass (…) receiver=d.example; identity=mailfrom; envelope-from="b@c.example"; …
//!
//! line    = [ queue id ": " ] ( "prepend " | "Header field not prepended: " ) header | rejection | "result_only " name
//!         | "Policy action=" ( "PREPEND " header | "550 " text | "DEFER_IF_PERMIT SPF-Result=" text | "DUNNO" )
//! header  = "Received-SPF: " result " (" comment ") " … "identity=" identity ";" …
//!         | "Authentication-Results: " name "; " ( "spf=" result " (" comment ") smtp." identity "=" … | "none (" … )
//!         | "X-Comment: " …
//! ```
//!
//! A comment may be what the sender's domain says: the result stands before it. What stands behind it decides on nothing but
//! the identity, which is one of three words.

use memchr::memmem;

use crate::cursor::Cursor;
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A sender was checked.
    Check(Check<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A sender was checked, or need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// The message, if Postfix told of it and the configuration shows it.
    pub queue_id: &'a [u8],
    /// What Postfix is told: `prepend`, `reject`, `defer`, `result_only`, or `none` where headers are disabled.
    pub action: &'static str,
    /// One of [`RESULTS`]; `skipped` for clients that are not checked, else `other`.
    pub result: &'static str,
    /// What was checked: `mailfrom` or `helo`; `none` where the line does not say.
    pub identity: &'static str,
    /// The client's address.
    pub client_ip: &'a [u8],
}

/// The results of SPF.
pub const RESULTS: [&str; 7] = ["pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"];

/// True when `program` is one of these servers.
pub fn is_program(program: &[u8]) -> bool {
    matches!(program, b"policyd-spf" | b"policy-spf" | b"postfix/policy-spf" | b"pyspf-milter" | b"policyd-spf-perl")
}

/// Reads a whole line.
///
/// # Errors
/// It is none of these servers'.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of these servers'.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    if let Some(kind) = known(cursor.rest()) {
        return Ok(Event::Known(kind));
    }
    let mut check = Check { queue_id: b"", action: "prepend", result: "other", identity: "none", client_ip: b"" };
    let queue_id = cursor.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if queue_id > 0 && cursor.rest().get(queue_id..).is_some_and(|rest| rest.starts_with(b": ")) {
        check.queue_id = cursor.rest().get(..queue_id).unwrap_or_default();
        cursor.skip(queue_id + 2);
    }
    let is_perl = cursor.take_text(b"Policy action=");
    if is_perl && cursor.rest().starts_with(b"DUNNO") {
        return Ok(Event::Known("dunno"));
    }
    if cursor.take_text(b"prepend ") || cursor.take_text(b"PREPEND ") {
        read_header(&mut cursor, &mut check, is_perl)?;
    } else if cursor.take_text(b"Header field not prepended: ") {
        check.action = "none";
        read_header(&mut cursor, &mut check, is_perl)?;
    } else if cursor.take_text(b"result_only ") {
        // Written for nothing but a pass.
        (check.action, check.result) = ("result_only", "pass");
    } else if cursor.take_text(b"550 ") {
        check.action = "reject";
        read_refusal(&mut cursor, &mut check, "fail");
    } else if cursor.take_text(b"defer_if_permit ") || cursor.take_text(b"DEFER_IF_PERMIT ") {
        check.action = "defer";
        read_refusal(&mut cursor, &mut check, "temperror");
    } else {
        return cursor.reject(Reason::UnknownForm, "action");
    }
    Ok(Event::Check(check))
}

/// Reads the header that the message gets.
fn read_header<'a>(cursor: &mut Cursor<'a>, check: &mut Check<'a>, is_perl: bool) -> Result<(), Reject> {
    if cursor.take_text(b"X-Comment: ") {
        check.result = "skipped";
        read_client_ip(cursor, check);
        return Ok(());
    }
    if cursor.take_text(b"Authentication-Results: ") {
        cursor.until(b' ', "result")?;
        if cursor.take_text(b"none ") {
            check.result = "skipped";
        } else {
            cursor.expect_text(b"spf=", "result")?;
            check.result = result(cursor.until(b' ', "result")?);
            check.identity = word_behind(cursor, b") smtp.", b'=');
        }
        read_client_ip(cursor, check);
        return Ok(());
    }
    cursor.expect_text(b"Received-SPF: ", "result")?;
    check.result = result(cursor.until(b' ', "result")?);
    check.identity = match is_perl {
        true if cursor.take_until(b") receiver=").is_none() => "none",
        true => word_behind(cursor, b"; identity=", b';'),
        false => word_behind(cursor, b") identity=", b';'),
    };
    read_client_ip(cursor, check);
    Ok(())
}

/// Reads what a refused client is told.
fn read_refusal<'a>(cursor: &mut Cursor<'a>, check: &mut Check<'a>, usual: &'static str) {
    // What pyspf says of each result; an explanation of the domain's own can only be that of a fail.
    const TEXTS: [(&[u8], &str); 7] = [
        (b"SPF Permanent Error", "permerror"),
        (b"SPF Temporary Error", "temperror"),
        (b"domain owner discourages use of this host", "softfail"),
        (b"access neither permitted nor denied", "neutral"),
        (b"no SPF record", "none"),
        (b"Receiver policy for SPF Softfail", "softfail"),
        (b"Receiver policy for SPF Neutral", "neutral"),
    ];
    check.result = usual;
    if cursor.take_text(b"5.7.24 ") {
        check.result = "permerror";
    }
    if cursor.take_until(b" due to: ").is_some()
        && let Some((_, result)) = TEXTS.iter().find(|(text, _)| cursor.rest().starts_with(text))
    {
        check.result = result;
    }
    check.identity = word_behind(cursor, b"/Why?s=", b';');
}

fn read_client_ip<'a>(cursor: &mut Cursor<'a>, check: &mut Check<'a>) {
    if cursor.take_until(b"client-ip=").is_some() {
        let end = memchr::memchr(b';', cursor.rest()).unwrap_or(cursor.rest().len());
        check.client_ip = cursor.rest().get(..end).unwrap_or_default();
    }
}

/// The identity that stands between `mark` and `end`.
fn word_behind(cursor: &mut Cursor<'_>, mark: &[u8], end: u8) -> &'static str {
    if cursor.take_until(mark).is_none() {
        return "none";
    }
    let length = memchr::memchr(end, cursor.rest()).unwrap_or_default();
    match cursor.rest().get(..length).unwrap_or_default() {
        b"mailfrom" | b"mfrom" => "mailfrom",
        b"helo" => "helo",
        b"pra" => "pra",
        _ => "other",
    }
}

fn result(text: &[u8]) -> &'static str {
    RESULTS.iter().find(|result| text.eq_ignore_ascii_case(result.as_bytes())).copied().unwrap_or("other")
}

/// The kind of a line that only tells how the server works.
fn known(text: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 38] = [
        (b"ERROR", "error"),
        (b"WARNING", "error"),
        (b"Ouch, caught exc", "error"),
        (b"Traceback", "error"),
        (b"fatal_exit: ", "error"),
        (b"warning: ", "error"),
        (b"Unable to write", "error"),
        (b"Could not make HostDataset", "error"),
        (b"Configuration ", "configuration"),
        (b"Config: ", "configuration"),
        (b"Authserv_Id ", "configuration"),
        (b"readConfigFile: ", "configuration"),
        (b"readUserConfigFile: ", "configuration"),
        (b"Per user ", "configuration"),
        (b"Per-user ", "configuration"),
        (b"Reading per user ", "configuration"),
        (b"User data: ", "configuration"),
        (b"Starting", "server"),
        (b"Normal exit", "server"),
        (b"pyspf-milter started", "server"),
        (b"drop_privileges", "server"),
        (b"PID dir", "server"),
        (b"connect from ", "debug"),
        (b"mail from: ", "debug"),
        (b"Read line: ", "debug"),
        (b"Found the end of entry", "debug"),
        (b"Cached data ", "debug"),
        (b"spfcheck: ", "debug"),
        (b"Action: ", "debug"),
        (b"Pyspf Cached ", "debug"),
        (b"_get_resultcodes: ", "debug"),
        (b"Scope ", "debug"),
        (b"not peruser", "debug"),
        (b"X-Comment: ", "debug"),
        (b"Attribute: ", "debug"),
        (b"handler ", "debug"),
        (b"HELO check failed", "debug"),
        (b"Mail From (sender) check failed", "debug"),
    ];
    if let Some((_, kind)) = KNOWN.iter().find(|(start, _)| text.starts_with(start)) {
        return Some(kind);
    }
    // `helo policy true results: …`, `Whitelist enabled.`, `Pass; identity=…` and, from Perl, `SPF pass …`.
    let is_policy = text.starts_with(b"helo policy ") || text.starts_with(b"mfrom policy ");
    let is_list = text.ends_with(b" enabled.") || text.starts_with(b"HELO Domain Whitelist ");
    let is_detail = memmem::find(text, b"; identity=").is_some_and(|end| end <= 9);
    let is_check = text.starts_with(b"SPF ") || text.starts_with(b"Authentication-Results: ");
    (is_policy || is_list || is_detail || is_check).then_some("debug")
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Check(check) = self else { return };
        see("queue_id", Field::text(check.queue_id));
        see("action", Field::Text(check.action.as_bytes()));
        see("result", Field::Text(check.result.as_bytes()));
        see("identity", Field::Text(check.identity.as_bytes()));
        see("client-ip", Field::text(check.client_ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str) -> (&'static str, &'static str, &'static str) {
        let line = format!("Feb  1 12:14:14 mx policyd-spf[71]: {message}");
        match parse(line.as_bytes()) {
            Ok(Event::Check(check)) => (check.action, check.result, check.identity),
            other => panic!("{message}: {other:?}"),
        }
    }

    #[test]
    fn forged_text_changes_no_result() {
        for (message, expected) in [
            (
                "prepend Received-SPF: Fail (x) Received-SPF: Pass (mailfrom) spf=pass) identity=helo; client-ip=192.0.2.1; \
                 helo=a) identity=mailfrom; Received-SPF: Pass; envelope-from=<>; receiver=b",
                ("prepend", "fail", "helo"),
            ),
            (
                "550 5.7.23 Message rejected due to: prepend Received-SPF: Pass (mailfrom). Please see http://x/Why?s=mfrom;id=a",
                ("reject", "fail", "mailfrom"),
            ),
            (
                "prepend Authentication-Results: mx; spf=fail (spf=pass smtp.helo=x) smtp.mailfrom=a (client-ip=192.0.2.1)",
                ("prepend", "fail", "mailfrom"),
            ),
            ("Policy action=550 Policy action=PREPEND Received-SPF: pass (", ("reject", "fail", "none")),
            ("4XyzAB1cdEz1: result_only Received-SPF: Fail (", ("result_only", "pass", "none")),
        ] {
            assert_eq!(check(message), expected, "{message}");
        }
    }

    #[test]
    fn unknown_text_is_rejected_where_it_begins() {
        let line = b"Feb  1 12:14:14 mx policyd-spf[71]: 4XyzAB1cdEz1: something new";
        let reject = parse(line).unwrap_err();
        assert_eq!((reject.reason, reject.offset), (Reason::UnknownForm, 50));
        let cut = b"Feb  1 12:14:14 mx policyd-spf[71]: prepend Received-SPF: Pa";
        assert_eq!(parse(cut).unwrap_err().reason, Reason::Truncated);
    }
}
