//! The mail room: one log with lines of many programs, and messages that are under way while tailmeter is not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use tailmeter::config::Config;
use tailmeter::metrics::{Dialect, FAMILIES};
use tailmeter::pipeline::{Outlet, Pipeline, switch};
use tailmeter::source::{Block, End, Position, Sink, file};

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
        let mut feed_after = after.shard(format, &Dialect::Usual).unwrap().feed("mail.log", "");
        assert_eq!(sample(&after, UNDER_WAY).unwrap(), "1");
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
fn messages_outlive_a_source_that_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let before = pipeline(&Config::default(), folder.path());
    feed(&mut Outlet::new(&before, "mail.log", "postfix", Dialect::Usual).unwrap().relay(""), BEGIN);
    // Its settings have changed, so that it was ended and begun again.
    let mut relay = Outlet::new(&before, "mail.log", "postfix", Dialect::Usual).unwrap().relay("");
    let (retry, rest) = AGAIN.split_at(AGAIN.find('\n').unwrap() + 1);
    feed(&mut relay, retry);
    assert_eq!(sample(&before, UNDER_WAY).unwrap(), "1");
    drop((relay, before));
    // The state is as it was written.
    let after = pipeline(&Config::default(), folder.path());
    feed(&mut after.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", ""), rest);
    ends(&after);
}

#[test]
fn messages_outlive_a_restart_of_a_source_that_took_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let position = Position::File(file::Position {
        file: Default::default(),
        fingerprint: Default::default(),
        offset: 1,
        size: 1,
        modified_ns: 0,
        predecessor: Default::default(),
    });
    let first = pipeline(&Config::default(), folder.path());
    first.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", "/mail.log").stands(position.clone(), &[]);
    first.checkpoint().unwrap();
    drop(first);
    // The same file by another source: it goes on where the other one left it.
    let second = pipeline(&Config::default(), folder.path());
    let mut sink = second.shard("postfix", &Dialect::Usual).unwrap().feed("*.log", "/mail.log");
    assert_eq!(sink.position(), Some(position));
    feed(&mut sink, BEGIN);
    second.checkpoint().unwrap();
    drop((sink, second));
    let third = pipeline(&Config::default(), folder.path());
    feed(&mut third.shard("postfix", &Dialect::Usual).unwrap().feed("*.log", "/mail.log"), AGAIN);
    ends(&third);
}

#[test]
fn sources_of_one_name_may_tell_of_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let before = pipeline(&Config::default(), folder.path());
    let mut feeds = ["/a", "/b"].map(|key| before.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", key));
    feeds.iter_mut().for_each(|sink| feed(sink, BEGIN));
    before.checkpoint().unwrap();
    feeds.iter_mut().for_each(|sink| feed(sink, AGAIN.lines().next().unwrap()));
    before.checkpoint().unwrap();
    drop((feeds, before));
    // The state is as it was written, and has the message once.
    let after = pipeline(&Config::default(), folder.path());
    feed(&mut after.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", "/a"), AGAIN);
    assert_eq!(sample(&after, SENT).unwrap(), "602");
}

#[test]
fn messages_under_way_are_those_of_sources_that_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let uncounted = config("metrics: {postfix_log_correlator_messages: {enabled: false}}");
    let before = pipeline(&uncounted, folder.path());
    feed(&mut before.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", ""), BEGIN);
    before.checkpoint().unwrap();
    drop(before);
    // Nobody counted it when it began.
    let counting = pipeline(&Config::default(), folder.path());
    let _sink = counting.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", "");
    assert_eq!(sample(&counting, UNDER_WAY).unwrap(), "1");
    drop(counting);
    let after = pipeline(&Config::default(), folder.path());
    feed(&mut after.shard("postfix", &Dialect::Usual).unwrap().feed("other.log", ""), "no line of the first one\n");
    assert_eq!(sample(&after, UNDER_WAY).unwrap(), "0");
    drop(after);
    // It is not forgotten, though.
    let last = pipeline(&Config::default(), folder.path());
    feed(&mut last.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", ""), AGAIN);
    ends(&last);
}

/// A header check may refuse a message before cleanup has told its message id.
#[test]
fn a_message_id_brings_no_refused_message_back() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(&Config::default(), folder.path());
    let mut sink = pipeline.shard("postfix", &Dialect::Usual).unwrap().feed("mail.log", "");
    let begin = "Feb  1 12:00:00 mx1 postfix/smtpd[1]: 103C26B: client=a.example.org[192.0.2.7]\n";
    let refused = "\
Feb  1 12:00:00 mx1 postfix/cleanup[2]: 103C26B: discard: header Subject: x from a.example.org[192.0.2.7]; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<a.example.org>
Feb  1 12:00:00 mx1 postfix/cleanup[2]: 103C26B: message-id=<1@example.org>
";
    feed(&mut sink, begin);
    assert_eq!(sample(&pipeline, UNDER_WAY).unwrap(), "1");
    feed(&mut sink, refused);
    assert_eq!(sample(&pipeline, UNDER_WAY).unwrap(), "0");
    // Its queue id may come again, with another message.
    feed(&mut sink, &(refused.lines().next().unwrap().to_owned() + "\n" + begin));
    feed(&mut sink, &BEGIN.replace("4F1AB6C02D", "103C26B"));
    feed(&mut sink, &AGAIN.replace("4F1AB6C02D", "103C26B"));
    ends(&pipeline);
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
    feed(&mut sink, "");
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
    let rejects =
        "postfix_log_rejects_total{service=\"smtpd\",action=\"reject\",stage=\"RCPT\",code=\"554\",reason=\"tired\"}";
    assert_eq!(sample(&pipeline, rejects).unwrap(), "1");
    assert_eq!(sample(&pipeline, "postfix_log_connections_total{service=\"scanner/smtpd\"}").unwrap(), "1");
    assert_eq!(sample(&pipeline, "postfix_log_connections_total{service=\"scan/smtpd\"}"), None);
}

#[test]
fn filters_in_one_log_go_to_their_families() {
    let pipeline = Pipeline::new(&Config::default(), |_| {});
    let mut sink = pipeline.shard("mail", &Dialect::Usual).unwrap().feed("mail.log", "");
    let lines = "\
Feb  1 12:00:00 mx1 policyd-spf[9]: prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.7; helo=a; envelope-from=b@c; receiver=d
Feb  1 12:00:00 mx1 postfix/policy-spf[9]: Policy action=550 Please see http://www.openspf.org/Why?s=helo;id=a;ip=192.0.2.7;r=d
Feb  1 12:00:00 mx1 spamd[9]: spamd: result: Y 22 - GTUBE scantime=0.4,size=10,user=a,uid=1,required_score=5.0
Feb  1 12:00:00 mx1 rspamd[9]: <c7ee1e>; task; rspamd_task_write_log: id: <1>, (default: F (no action): [-2.50/15.00] [A(1.00){},B(-3.50){x;}]), len: 5, time: 62.378ms, dns req: 1
Feb  1 12:00:00 mx1 amavis[9]: (09-01) Blocked SPAM {DiscardedInbound}, [192.0.2.7] <a> -> <b>, mail_id: c, Hits: 15.5, size: 5, 640 ms
Feb  1 12:00:00 mx1 clamd[9]: instream(local): Eicar-Test-Signature FOUND
Feb  1 12:00:00 mx1 clamav-milter[9]: Message from <a> to <b> infected by Eicar-Test-Signature
Feb  1 12:00:00 mx1 opendkim[9]: 4XyzAB1cdEz1: DKIM verification successful
Feb  1 12:00:00 mx1 opendmarc[9]: 4XyzAB1cdEz1: example.org pass
";
    feed(&mut sink, lines);
    for (name, value) in [
        ("spf_log_results_total{result=\"pass\",identity=\"mailfrom\"}", "1"),
        ("spf_log_results_total{result=\"fail\",identity=\"helo\"}", "1"),
        ("spamd_log_score_sum", "22"),
        ("rspamd_log_messages_total{action=\"no action\"}", "1"),
        ("rspamd_log_score_sum", "-2.5"),
        ("rspamd_log_score_bucket{le=\"-2\"}", "1"),
        ("rspamd_log_score_bucket{le=\"-5\"}", "0"),
        ("rspamd_log_scan_duration_seconds_sum", "0.062"),
        ("amavis_log_messages_total{verdict=\"Blocked\",category=\"SPAM\"}", "1"),
        ("amavis_log_scan_duration_seconds_sum", "0.64"),
        ("clamav_log_infected_total", "2"),
        ("opendkim_log_verifications_total{result=\"pass\"}", "1"),
        ("opendmarc_log_results_total{result=\"pass\"}", "1"),
    ] {
        assert_eq!(sample(&pipeline, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(sample(&pipeline, "rspamd_log_symbols_total{symbol=\"A\"}"), None);
    assert_eq!(sink.lines().outcomes(), [9, 0, 0]);
}

#[test]
fn symbols_are_counted_for_who_asks_up_to_their_limit() {
    let text = "metrics: {rspamd_log_symbols_total: {max_series: 3}, clamav_log_infected_total: {labels: [program]}}";
    let pipeline = Pipeline::new(&config(text), |_| {});
    let result = |symbols: &str| {
        format!(
            "2026-02-01 12:00:00 #9(normal) <c7ee1e>; task; rspamd_task_write_log: id: <1>, (default: F (no action): \
             [1.00/15.00] [{symbols}]), len: 5, time: 1.5ms, dns req: 1\n"
        )
    };
    let mut sink = pipeline.shard("rspamd", &Dialect::Usual).unwrap().feed("rspamd.log", "");
    feed(&mut sink, &result("A(1.00){b;},C(0.00){}"));
    feed(&mut sink, &result("A(1.00){},D(0.00){x;},E(9.00){y;}"));
    let of = |symbol: &str| sample(&pipeline, &format!("rspamd_log_symbols_total{{symbol=\"{symbol}\"}}"));
    assert_eq!(["A", "C", "D", "E", "other"].map(of).map(Option::unwrap_or_default), ["2", "1", "", "", "2"]);
    feed(
        &mut pipeline.shard("clamav", &Dialect::Usual).unwrap().feed("clamd.log", ""),
        "Sun Feb  1 12:00:00 2026 -> /tmp/a: Eicar FOUND\n",
    );
    assert_eq!(sample(&pipeline, "clamav_log_infected_total{program=\"clamd\"}").as_deref(), Some("1"));
}
