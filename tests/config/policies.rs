//! Label policies, read as an operator writes them, and the files that they name.

use std::fs;
use std::path::Path;

use tailmeter::config::{Config, ConfigErrors, LabelPolicy};
use tailmeter::series::{Detectors, Networks};

use crate::accept;

fn policy(text: &str) -> LabelPolicy {
    accept(&format!("labels: {{server_name: {text}}}")).labels["server_name"].clone()
}

/// What is shown of a value; `None` when it falls out.
fn shown(policy: &LabelPolicy, raw: &str) -> Option<String> {
    let mut value = raw.as_bytes().to_vec();
    policy.apply(&mut value, &mut Vec::new()).then(|| String::from_utf8(value).expect("text"))
}

#[test]
fn every_rule_arrives() {
    let policy = policy(
        "{
    max_values: 7, unbounded: false, lower: true, deny: [b, {regex: 'c+'}], allow: [a, {prefix: x}],
    rewrite: [{pattern: '(.)1', to: '$1'}], template: {paths: [/a/:b], detect: [uuid]}, hash: random}",
    );
    assert!(policy.lower && !policy.unbounded && policy.max_values == Some(7));
    let (allow, deny) = (policy.allow.as_ref().expect("values"), policy.deny.as_ref().expect("values"));
    assert!(allow.has(b"xy") && !allow.has(b"b") && deny.has(b"b") && deny.has(b"ccc"));
    assert_eq!(policy.rewrite[0].to(), "$1");
    let template = policy.template.as_ref().expect("a template");
    assert_eq!(template.patterns(), ["/a/:b"]);
    assert!(template.detectors().uuid && !template.detectors().number);
    assert!(policy.hash.is_some_and(|hash| !hash.0.rotates()));
}

#[test]
fn short_forms_mean_the_long_ones() {
    let template = |text: &str| policy(text).template.expect("a template");
    assert_eq!(template("{template: auto}"), template("{template: {detect: all}}"));
    assert_eq!(template("{template: auto}").detectors(), Detectors::ALL);
    assert_eq!(template("{template: [/a]}"), template("{template: {paths: [/a]}}"));
    assert_eq!(policy("{ip_prefix: {}}").ip_prefix, Some(Networks { v4: 24, v6: 48 }));
    assert_eq!(policy("{ip_prefix: {v6: 64}}").ip_prefix, Some(Networks { v4: 24, v6: 64 }));
    assert!(policy("{hash: {rotate: 30m}}").hash.is_some_and(|hash| hash.0.rotates()));
}

#[test]
fn rules_apply_in_one_order() {
    let rules = [
        "lower: true",
        "rewrite: [{pattern: '(/.*)/end', to: '$1'}]",
        "template: [/users/:id, /denied/:id, /none/:id]",
        "deny: ['/denied/:id']",
        "allow: ['/users/:id', '/denied/:id']",
        "max_values: 3",
    ];
    let (mut forth, mut back) = (rules.to_vec(), rules.to_vec());
    back.reverse();
    forth.rotate_left(2);
    for order in [rules.to_vec(), forth, back] {
        let policy = policy(&format!("{{{}}}", order.join(", ")));
        assert_eq!(shown(&policy, "/USERS/7/END").as_deref(), Some("/users/:id"));
        assert_eq!(
            ["/denied/7", "/none/7", "/x", "/users/7/end/end"].map(|path| shown(&policy, path)),
            [const { None }; 4]
        );
    }
    let hashed = policy("{hash: random, allow: [ann, bob]}");
    assert_eq!(shown(&hashed, "eve"), None);
    assert_eq!(shown(&hashed, "ann").map(|hash| hash.len()), Some(16));
    assert_ne!(shown(&hashed, "ann"), shown(&hashed, "bob"));
    let networks = policy("{ip_prefix: {v4: 8}, rewrite: [{pattern: 'unix', to: '127.0.0.1'}]}");
    assert_eq!(shown(&networks, "unix").as_deref(), Some("127.0.0.0/8"));
    assert_eq!(shown(&networks, "").as_deref(), Some(""), "nothing is made of an empty value");
}

#[test]
fn labels_with_the_same_key_have_the_same_hashes() {
    let config = accept(
        "labels:
  server_name: {hash: {rotate: 24h}}
  client_ip: {hash: {rotate: 1d}}
  backend_name: {hash: random}
",
    );
    let [backend, client, server] =
        ["backend_name", "client_ip", "server_name"].map(|label| shown(&config.labels[label], "ann"));
    assert_eq!(client, server);
    assert_ne!(client, backend);
}

fn load(folder: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let path = folder.join("tailmeter.yml");
    fs::write(&path, text).expect("written");
    Config::load(&path)
}

#[test]
fn files_are_read_from_where_the_configuration_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "labels:
  http_request_path: {from_file: lists/paths, allow: [{prefix: /api}]}
  client_ip: {hash: {key_file: hash.key}}
";
    fs::create_dir(folder.path().join("lists")).expect("a folder");
    fs::write(folder.path().join("lists/paths"), "# paths\n/a\n\n  /b \r\n").expect("written");
    fs::write(folder.path().join("hash.key"), "0123456789abcdef\n").expect("written");
    let config = load(folder.path(), text).expect("a configuration");
    let paths = &config.labels["http_request_path"];
    assert_eq!(["/a", "/b", "/c", "# paths"].map(|path| shown(paths, path).is_some()), [true, true, false, false]);
    assert!(shown(paths, "/api/x").is_some());
    // What the same key gives everywhere; HMAC-SHA-256, as other programs make it.
    assert_eq!(shown(&config.labels["client_ip"], "192.0.2.1").as_deref(), Some("834648f6724c306a"));
    assert!(!format!("{config:?}").contains("0123456789"), "a key shows itself nowhere");
    assert_eq!(config, load(folder.path(), text).expect("a configuration"));
    fs::write(folder.path().join("hash.key"), "0123456789abcdeF").expect("written");
    assert_ne!(config, load(folder.path(), text).expect("a configuration"));
}

#[test]
fn files_that_are_of_no_use_are_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |content: Option<&[u8]>, rule: &str| {
        let path = folder.path().join("file");
        let _ = fs::remove_file(&path);
        if let Some(content) = content {
            fs::write(&path, content).expect("written");
        }
        let errors = load(folder.path(), &format!("labels: {{client_ip: {{{rule}}}}}\n")).expect_err("a mistake");
        let [error] = errors.errors() else { panic!("{errors}") };
        assert_eq!((error.line(), error.column()), (Some(1), Some(22 + rule.find("\"file\"").expect(rule))));
        error.message().to_owned()
    };
    let list = "from_file: \"file\"";
    assert_eq!(told(None, list), "cannot use the list file: No such file or directory (os error 2)");
    assert_eq!(told(Some(b"\n# none\n"), list), "cannot use the list file: it has no values");
    assert_eq!(told(Some(b"a\nb\0\n"), list), "cannot use the list file: line 2 has control characters");
    let large = vec![b'\n'; (16 << 20) + 1];
    assert_eq!(told(Some(&large), list), "cannot use the list file: it is larger than 16777216 bytes");
    let key = "hash: {key_file: \"file\"}";
    assert_eq!(told(Some(b"secret\n"), key), "cannot use the key file: it has 6 bytes, and a key needs at least 16");
    assert_eq!(told(None, key), "cannot use the key file: No such file or directory (os error 2)");
}
