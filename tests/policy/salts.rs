//! Keys of hashes: kept over restarts and reloads, forgotten when they are exchanged, and shown to nobody.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use tailmeter::config::Config;
use tailmeter::pipeline::Pipeline;

use crate::{REQUESTS, config, count, feed, labelled, request, values};

const HOUR: Duration = Duration::from_secs(3600);
const RELAY: &str = "Nov 21 19:08:59 mx1 postfix/smtp[177]: 221F664: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, \
    delay=0.02, delays=0.01/0.01/0/0, dsn=2.0.0, status=sent (250 ok)\n";
const LOGIN: &str = "Nov 21 18:58:20 mx1 dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, \
    mpid=1, TLS, session=<ece98c1gkNh/AAAB>\n";

/// Ends the present periods of all keys of `config`.
fn turn(config: &Config) {
    for policy in config.labels.values() {
        policy.hash.iter().for_each(|hash| assert!(hash.0.turn(SystemTime::now() + 2 * HOUR) > 0));
    }
}

/// Wherever a raw value's row is remembered, it is forgotten with the key that made it.
#[test]
fn an_exchanged_key_makes_new_values_of_all() {
    let rule = "{hash: {rotate: 1h}}";
    let requests =
        |more: &str| format!("labels: {{client_ip: {rule}}}\nmetrics: {{{REQUESTS}: {{labels: [client_ip{more}]}}}}");
    let deliveries = |metric: &str| format!("labels: {{relay: {rule}}}\nmetrics: {{{metric}: {{labels: [relay]}}}}");
    let line = request("192.0.2.7", "h", "/");
    let aborted = line.replace("1/0/1/2/8", "-1/-1/-1/-1/8");
    let check = "Feb  1 12:14:14 lb1 haproxy[1]: Server b/s is DOWN, reason: Layer4 timeout.\n";
    let cases = [
        ("haproxy", REQUESTS, requests(""), line.clone()),
        (
            "haproxy",
            "haproxy_log_response_bytes_total",
            requests("").replace(REQUESTS, "haproxy_log_response_bytes_total"),
            line.clone(),
        ),
        (
            "haproxy",
            "haproxy_log_aborted_requests_total",
            requests("").replace(REQUESTS, "haproxy_log_aborted_requests_total"),
            aborted,
        ),
        (
            "haproxy",
            "haproxy_log_server_state_changes_total",
            format!(
                "labels: {{server_name: {rule}}}\nmetrics: {{haproxy_log_server_state_changes_total: {{labels: [server_name]}}}}"
            ),
            check.to_owned(),
        ),
        (
            "haproxy",
            REQUESTS,
            format!("labels: {{frontend_name: {rule}}}\nmetrics: {{{REQUESTS}: {{labels: [frontend_name]}}}}"),
            line.clone(),
        ),
        ("haproxy", REQUESTS, format!("compat: haproxy-log-exporter\n{}", requests("")), line),
        ("postfix", "postfix_log_deliveries_total", deliveries("postfix_log_deliveries_total"), RELAY.to_owned()),
        (
            "mail",
            "postfix_log_delivery_delay_seconds",
            deliveries("postfix_log_delivery_delay_seconds"),
            RELAY.to_owned(),
        ),
        (
            "dovecot",
            "dovecot_log_logins_total",
            format!("labels: {{user: {rule}}}\nmetrics: {{dovecot_log_logins_total: {{labels: [user]}}}}"),
            LOGIN.to_owned(),
        ),
    ];
    for (format, metric, text, line) in cases {
        let config = config(&text);
        let pipeline = Pipeline::new(&config, |_| {});
        let mut feed = feed(&pipeline, format);
        let of_rows = || {
            let of_row = |(value, number): (String, u64)| {
                assert_eq!(value.len(), 16, "{value}");
                number
            };
            let mut numbers = values(&pipeline, metric).into_iter().map(of_row).collect::<Vec<_>>();
            numbers.sort_unstable();
            numbers
        };
        let unit = if metric.ends_with("bytes_total") { 100 } else { 1 };
        let unit = if metric.contains("aborted") { 4 } else { unit };
        count(&mut feed, &line);
        count(&mut feed, &line.repeat(2));
        assert_eq!(of_rows(), [3 * unit], "{metric}");
        turn(&config);
        count(&mut feed, &line.repeat(5));
        assert_eq!(of_rows(), [3 * unit, 5 * unit], "{metric}");
        count(&mut feed, &line);
        assert_eq!(of_rows(), [3 * unit, 6 * unit], "{metric}");
    }
}

fn clients(pipeline: &Pipeline) -> BTreeMap<String, u64> {
    let lines = ["192.0.2.7", "192.0.2.8", "192.0.2.7"].map(|client| request(client, "h", "/"));
    count(&mut feed(pipeline, "haproxy"), &lines.concat());
    values(pipeline, REQUESTS)
}

#[test]
fn a_random_key_survives_restarts_and_reloads() {
    let config = || labelled(REQUESTS, "[{client_ip: {hash: random}}]");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tailmeter.db");
    let first = Pipeline::with_state(&config(), &state, |_| {}).unwrap();
    let before = clients(&first);
    assert_eq!(before.values().copied().collect::<Vec<_>>().iter().sum::<u64>(), 3);
    first.checkpoint().unwrap();
    drop(first);
    let second = Pipeline::with_state(&config(), &state, |_| {}).unwrap();
    let after = clients(&second);
    assert!(after.keys().eq(before.keys()) && after.values().sum::<u64>() == 6, "{before:?} {after:?}");
    // Another limit makes other rows of a new configuration.
    let other = config_with_limit();
    let third = second.reconfigured(&other, Some(&state)).unwrap();
    assert!(clients(&third).keys().eq(before.keys()));
    drop(third);
    let without = Pipeline::new(&config(), |_| {});
    let before = clients(&without);
    assert!(clients(&without.reconfigured(&other, None).unwrap()).keys().eq(before.keys()));
    let another = Pipeline::new(&config(), |_| {});
    assert!(clients(&another).keys().ne(before.keys()), "a process without a state has a key of its own");
}

fn config_with_limit() -> Config {
    config(&format!("metrics: {{{REQUESTS}: {{labels: [{{client_ip: {{hash: random}}}}], max_series: 50}}}}"))
}

/// The state has the present key, and none that was exchanged or is not used any more.
#[test]
fn an_exchanged_key_is_gone() {
    let config = || {
        config(&format!(
            "labels: {{client_ip: {{hash: {{rotate: 1h}}}}}}\nmetrics: {{{REQUESTS}: {{labels: [client_ip]}}}}"
        ))
    };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tailmeter.db");
    let keys = || {
        let file = rusqlite::Connection::open(&state).unwrap();
        let mut keys = file.prepare("SELECT hex(salt) FROM salts").unwrap();
        keys.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let first = config();
    let pipeline = Pipeline::with_state(&first, &state, |_| {}).unwrap();
    clients(&pipeline);
    pipeline.checkpoint().unwrap();
    let before = keys();
    turn(&first);
    clients(&pipeline);
    pipeline.checkpoint().unwrap();
    assert_eq!(values(&pipeline, REQUESTS).len(), 4);
    let after = keys();
    assert!(before.len() == 1 && after.len() == 1 && before != after, "{before:?} {after:?}");
    drop(pipeline);
    let pipeline = Pipeline::with_state(&Config::default(), &state, |_| {}).unwrap();
    clients_of_default(&pipeline);
    pipeline.checkpoint().unwrap();
    assert!(keys().is_empty());
}

fn clients_of_default(pipeline: &Pipeline) {
    count(&mut feed(pipeline, "haproxy"), &request("192.0.2.7", "h", "/"));
}

/// Everything that a program with such a configuration says or shows, without the key.
#[test]
fn keys_are_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hash.key"), "a secret that nobody sees\n").unwrap();
    let text = format!(
        "labels: {{client_ip: {{hash: {{key_file: hash.key, rotate: 24h}}}}}}\nmetrics: {{{REQUESTS}: {{labels: [client_ip]}}}}"
    );
    fs::write(folder.path().join("tailmeter.yml"), text).unwrap();
    let config = Config::load(&folder.path().join("tailmeter.yml")).unwrap();
    let state = folder.path().join("tailmeter.db");
    let pipeline = Pipeline::with_state(&config, &state, |_| {}).unwrap();
    clients(&pipeline);
    pipeline.checkpoint().unwrap();
    let shown = format!(
        "{config:?} {:?} {}",
        tailmeter::metrics::Family::named("haproxy").unwrap().plan(&config),
        crate::exposition(&pipeline)
    );
    assert!(!shown.contains("nobody sees"), "{shown}");
    drop(pipeline);
    let kept = fs::read(&state).unwrap();
    assert!(!kept.windows(11).any(|window| window == b"nobody sees"));
}
