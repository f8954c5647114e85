//! The mail room: one log with lines of many programs, and messages that are under way while tailmeter is not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use tailmeter::config::Config;
use tailmeter::metrics::{Dialect, FAMILIES};
use tailmeter::pipeline::{Outlet, Pipeline, switch};
use tailmeter::source::{Block, End, Sink};

/// A pipeline with its state in `folder`.
fn pipeline(config: &Config, folder: &Path) -> Pipeline {
    Pipeline::with_state(config, &folder.join("tailmeter.db"), |_| {}).unwrap()
}

fn feed(sink: &mut impl Sink, lines: &str) {
    let bytes = lines.len() as u64;
    sink.block(Block { lines: lines.as_bytes(), end: End::Nowhere, bytes, cut: false });
}

/// The sample called `name` with its labels, after a checkpoint.
fn sample(pipeline: &Pipeline, name: &str) -> Option<String> {
    pipeline.checkpoint().unwrap();
    let mut text = Vec::new();
    pipeline.render(&mut text);
    let text = String::from_utf8(text).unwrap();
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned()))
}

fn config(text: &str) -> Config {
    Config::parse(text, "c.yml", FAMILIES).unwrap()
}

const BEGIN: &str = "\
Feb  1 12:00:00 mx1 postfix/smtpd[1]: 4F1AB6C02D: client=a.example.org[192.0.2.7]
Feb  1 12:00:00 mx1 postfix/cleanup[2]: 4F1AB6C02D: message-id=<1@example.org>
Feb  1 12:00:00 mx1 postfix/qmgr[3]: 4F1AB6C02D: from=<a@example.org>, size=500, nrcpt=1 (queue active)
Feb  1 12:00:01 mx1 postfix/smtp[4]: 4F1AB6C02D: to=<b@example.net>, relay=none, delay=1, delays=0.5/0/0.5/0, dsn=4.4.1, status=deferred (connect to mx.example.net[198.51.100.1]:25: Connection refused)
";
const AGAIN: &str = "\
Feb  1 12:10:00 mx1 postfix/qmgr[3]: 4F1AB6C02D: from=<a@example.org>, size=500, nrcpt=1 (queue active)
Feb  1 12:10:02 mx1 postfix/smtp[4]: 4F1AB6C02D: to=<b@example.net>, relay=mx.example.net[198.51.100.1]:25, delay=602, delays=601/0/0.5/0.5, dsn=2.0.0, status=sent (250 OK)
Feb  1 12:10:02 mx1 postfix/qmgr[3]: 4F1AB6C02D: removed
";

const UNDER_WAY: &str = "postfix_log_correlator_messages";
const SENT: &str = "postfix_log_message_duration_seconds_sum{outcome=\"sent\"}";
const ATTEMPTS: &str = "postfix_log_delivery_attempts_sum{outcome=\"sent\"}";

fn ends(pipeline: &Pipeline) {
    let values = [UNDER_WAY, SENT, ATTEMPTS, "postfix_log_queue_insertions_total"].map(|name| sample(pipeline, name));
    assert_eq!(values.map(Option::unwrap_or_default), ["0", "602", "2", "1"]);
}

#[test]
fn messages_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["postfix", "mail"] {
        let folder = folder.path().join(format);
        std::fs::create_dir(&folder).unwrap();
        let before = pipeline(&Config::default(), &folder);
        feed(&mut before.shard(format, &Dialect::Usual).unwrap().feed("mail.log", ""), BEGIN);
        assert_eq!(sample(&before, UNDER_WAY).unwrap(), "1");
        before.checkpoint().unwrap();
        drop(before);
        let after = pipeline(&Config::default(), &folder);
        assert_eq!(sample(&after, UNDER_WAY).unwrap(), "1");
        let mut feed_after = after.shard(format, &Dialect::Usual).unwrap().feed("mail.log", "");
        feed(&mut feed_after, AGAIN);
        ends(&after);
        after.checkpoint().unwrap();
        drop((feed_after, after));
        // It has left the state, too.
        let last = pipeline(&Config::default(), &folder);
        feed(&mut last.shard(format, &Dialect::Usual).unwrap().feed("mail.log", ""), AGAIN);
        assert_eq!(sample(&last, ATTEMPTS).unwrap(), "3");
    }
}

#[test]
fn messages_outlive_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailmeter.db");
    for state in [Some(path.as_path()), None] {
        let before = match state {
            Some(_) => pipeline(&Config::default(), folder.path()),
            None => Pipeline::new(&Config::default(), |_| {}),
        };
        let outlet = Arc::new(Outlet::new(&before, "mail.log", "postfix", Dialect::Usual).unwrap());
        let mut relay = outlet.relay("");
        feed(&mut relay, BEGIN);
        let other = config("postfix: {max_messages: 5000}");
        let after = switch(&[outlet], || before.reconfigured(&other, state).map(Arc::new)).unwrap();
        feed(&mut relay, AGAIN);
        ends(&after);
    }
}

#[test]
fn lines_of_a_log_go_to_their_families() {
    let pipeline = Pipeline::new(&Config::default(), |_| {});
    let mut sink = pipeline.shard("mail", &Dialect::Usual).unwrap().feed("mail.log", "");
    let others = "\
Feb  1 12:00:00 mx1 postgrey[9]: action=pass, reason=client AWL, client_name=a.example.org, client_address=192.0.2.7, sender=a@b, recipient=c@d
Feb  1 12:00:00 mx1 cron[9]: job
Feb  1 12:00:00 mx1 cron[9]: job
no syslog at all
";
    feed(&mut sink, BEGIN);
    feed(&mut sink, others);
    let counted = "postgrey_log_actions_total{action=\"pass\",reason=\"client_auto_whitelist\"}";
    assert_eq!(sample(&pipeline, counted).unwrap(), "1");
    assert_eq!(sample(&pipeline, "postfix_log_queue_insertions_total").unwrap(), "1");
    assert_eq!(sink.lines().outcomes(), [4, 3, 1]);
}

#[test]
fn services_and_reasons_are_as_configured() {
    let text = "postfix: {exclude_services: [scan], reject_reasons: [{pattern: 'tired of you', reason: tired}]}";
    let pipeline = Pipeline::new(&config(text), |_| {});
    let lines = "\
Feb  1 12:00:00 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from a.example.org[192.0.2.7]: 554 5.7.1 <b@c>: we are tired of you; from=<a@b> to=<b@c> proto=ESMTP helo=<x>
Feb  1 12:00:00 mx1 postfix/scan/smtpd[1]: connect from localhost[127.0.0.1]
Feb  1 12:00:00 mx1 postfix/scanner/smtpd[1]: connect from localhost[127.0.0.1]
";
    feed(&mut pipeline.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", ""), lines);
    let rejects = "postfix_log_rejects_total{service=\"smtpd\",action=\"reject\",stage=\"RCPT\",code=\"554\",reason=\"tired\"}";
    assert_eq!(sample(&pipeline, rejects).unwrap(), "1");
    assert_eq!(sample(&pipeline, "postfix_log_connections_total{service=\"scanner/smtpd\"}").unwrap(), "1");
    assert_eq!(sample(&pipeline, "postfix_log_connections_total{service=\"scan/smtpd\"}"), None);
}
