//! The reader of configurations, keyword by keyword. `tests/haproxy_config.rs` holds it against a real HAProxy.

use proptest::prelude::*;

use super::*;

const NOTHING: &dyn Fn(&str) -> Option<Vec<u8>> = &|_| None;

fn process(environment: &dyn Fn(&str) -> Option<Vec<u8>>) -> Process<'_> {
    Process { environment, version: Some("2.8.3"), features: Some("+EPOLL -KQUEUE") }
}

#[track_caller]
fn config(text: &str) -> Config {
    read(&[("a.cfg", text.as_bytes())], &process(NOTHING)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// Every mistake, with its line and column before it.
#[track_caller]
fn mistakes(text: &str) -> Vec<String> {
    let mistakes = read(&[("a.cfg", text.as_bytes())], &process(NOTHING)).expect_err("there are mistakes");
    mistakes.iter().map(ToString::to_string).collect()
}

fn text(word: Option<&Word>) -> &str {
    word.map_or("", |word| core::str::from_utf8(word.text()).expect("UTF-8"))
}

fn format(proxy: &Proxy) -> &str {
    proxy.log_format.as_ref().map_or("", |format| core::str::from_utf8(format.format.text()).expect("UTF-8"))
}

fn names(names: &[Vec<u8>]) -> Vec<&str> {
    names.iter().map(|name| core::str::from_utf8(name).expect("UTF-8")).collect()
}

/// The only argument of `log-format`, written as `argument`.
#[track_caller]
fn word(argument: &str, environment: &dyn Fn(&str) -> Option<Vec<u8>>) -> Word {
    let text = format!("frontend f\n  log-format {argument}\n");
    let config = read(&[("a.cfg", text.as_bytes())], &process(environment));
    let config = config.unwrap_or_else(|mistakes| panic!("{argument}: {mistakes:?}"));
    match config.proxies[0].log_format.clone().expect("a format").format {
        Format::Custom(word) => word,
        other => panic!("{other:?}"),
    }
}

#[test]
fn words_are_unescaped() {
    for (written, meant) in [
        (r"a\ b", "a b"),
        (r#""a b""#, "a b"),
        (r"'a b'", "a b"),
        (r#"a"b c"'d e'\ f"#, "ab cd e f"),
        (r"a\#b#c", "a#b"),
        (r"a#b c", "a"),
        (r#""a#b""#, "a#b"),
        (r"a\tb", "a\tb"),
        (r"\x41\x6a", "Aj"),
        (r"a\x00b", "a"),
        (r"a\\b", r"a\b"),
        (r"a\1b", r"a\1b"),
        (r#"\"a\'"#, r#""a'"#),
        (r#""'a'""#, "'a'"),
        (r#"'a"b\n'"#, r#"a"b\n"#),
        (r"a\$b", r"a\$b"),
        (r#""a\$b""#, "a$b"),
        (r"$HOME", "$HOME"),
        (r"'$HOME'", "$HOME"),
        (r"a\", r"a\"),
        (r#""a""""#, "a"),
    ] {
        assert_eq!(text(Some(&word(written, NOTHING))), meant, "{written}");
    }
}

#[test]
fn variables_are_expanded_in_weak_quotes() {
    let environment = |name: &str| match name {
        "SITE" => Some(b"main".to_vec()),
        "LIST" => Some(b"one  two".to_vec()),
        "EMPTY" => Some(Vec::new()),
        _ => None,
    };
    for (written, meant) in [
        (r#""$SITE-x""#, "main-x"),
        (r#""${SITE}x""#, "mainx"),
        (r#""${SITE-other}x""#, "mainx"),
        (r#""${NONE-other words}x""#, "other wordsx"),
        (r#""${EMPTY-other}x""#, "x"),
        (r#""$NONE,x""#, ",x"),
        (r#""$LIST""#, "one  two"),
        (r#""${.FILE}:${.LINE} ${.SECTION}""#, "a.cfg:2 f"),
        (r#""\${SITE}""#, "${SITE}"),
    ] {
        assert_eq!(text(Some(&word(written, &environment))), meant, "{written}");
    }
    let text = "backend b\n server \"${LIST[*]}\" 127.0.0.1:1\n";
    let config = read(&[("a.cfg", text.as_bytes())], &process(&environment)).expect("a configuration");
    assert_eq!(names(&config.proxies[0].servers), ["one"]);
    let config = self::config("frontend f\n log-tag \"a${NONE}b\"\n");
    assert_eq!(self::text(config.proxies[0].log_tag.as_ref()), "ab");
    let warning = &config.warnings[0];
    assert_eq!((warning.place.line, warning.place.column), (2, 12));
    assert!(warning.message.contains("NONE"), "{}", warning.message);
}

#[test]
fn versions_differ_behind_unset_variables() {
    let text = "backend b\n server \"a${NONE}\"  b 10.0.0.1:80\n";
    for (version, name) in
        [("2.8.10", "a"), ("2.9.0", "ab"), ("3.0.11-1+deb13u1", "ab"), ("3.1.7", "ab"), ("3.2.0", "a")]
    {
        let process = Process { version: Some(version), ..process(NOTHING) };
        let config = read(&[("a.cfg", text.as_bytes())], &process).expect("a configuration");
        assert_eq!(names(&config.proxies[0].servers), [name], "{version}");
    }
}

#[test]
fn a_byte_of_a_word_knows_its_place() {
    let environment = |_: &str| Some(b"xyz".to_vec());
    //  frontend line is 1; `  log-format ` is 13 columns.
    let word = word(r#"é\x41\ "$V"b"#, &environment);
    assert_eq!(word.text(), "éA xyzb".as_bytes());
    let columns = (0..word.text().len() + 2).map(|offset| word.place_of(offset).column).collect::<Vec<_>>();
    assert_eq!(columns, [14, 14, 15, 19, 22, 22, 22, 25, 26, 26]);
    assert_eq!(word.place(), Place { file: 0, line: 2, column: 14 });
}

#[test]
fn broken_words_are_mistakes() {
    for (line, place, message) in [
        ("log-format \"a", "line 2, column 12", "quote"),
        ("log-format a\\x4g", "line 2, column 13", "hexadecimal"),
        ("log-format \"${A\"", "line 2, column 14", "brace"),
        ("log-format \"$1\"", "line 2, column 14", "letter"),
        ("log-format \"${A[1]}\"", "line 2, column 16", "[*]"),
        ("log-format \"${.TIME}\"", "line 2, column 15", ".FILE"),
        ("log-format", "line 2, column 11", "needs"),
        ("log-format %a %b", "line 2, column 15", "quotes"),
        ("option httplog short", "line 2, column 16", "clf"),
        ("no option httplog", "line 2, column 4", "no and default"),
        ("log 127.0.0.1", "line 2, column 1", "facility"),
        ("log 127.0.0.1 len 20 local0", "line 2, column 19", "80"),
        ("log 127.0.0.1 format json local0", "line 2, column 22", "format"),
        ("log 127.0.0.1 local9", "line 2, column 15", "facility"),
        ("log 127.0.0.1 local0 loud", "line 2, column 22", "level"),
        ("log 127.0.0.1 profile none local0", "line 2, column 1", "log-profile"),
        ("capture request header Host", "line 2, column 28", "len"),
        ("declare capture request len 0", "line 2, column 25", "len"),
        ("server-template bad 3-1 x:80", "line 2, column 21", "first"),
        ("http-request capture req.hdr(Host)", "line 2, column 22", "len"),
        (".if defined(A\n.endif", "line 2, column 14", "parenthesis"),
    ] {
        let found = mistakes(&format!("frontend f\n{line}\n"));
        assert!(found[0].starts_with(place) && found[0].contains(message), "{line}: {found:?}");
    }
    for (text, message) in [
        ("frontend\n", "name"),
        ("frontend a/b\n", "letters"),
        ("frontend f from none\n", "defaults"),
        ("defaults d\ndefaults d\nbackend b from d\n", "several"),
        ("frontend f\nlisten f\n", "line 1 already"),
        ("log global\n", "outside"),
        ("global\n log global\n", "global"),
        ("global\n.if 1\n", ".endif"),
        (".endif\n", ".if"),
        (".else\n", ".if"),
        (".if 0\n.else\n.elif 1\n.endif\n", ".elif"),
        ("global\n log-tag a\0b\n", "NUL"),
        ("defaults\n capture request header Host len 3\n", "frontends"),
    ] {
        let found = mistakes(text);
        assert!(found[0].contains(message), "{text}: {found:?}");
    }
}

#[test]
fn conditions_are_evaluated() {
    let environment = |name: &str| (name == "A").then(|| b"1".to_vec());
    let value = |condition: &str, version: Option<&str>, features: Option<&str>| {
        let text = format!("global\n.if {condition}\n log-tag yes\n.else\n node no\n.endif\n");
        let process = Process { environment: &environment, version, features };
        let config = read(&[("a.cfg", text.as_bytes())], &process).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        match (config.log_tag.is_some(), config.node.is_some()) {
            (true, true) => {
                assert_eq!(config.warnings.len(), 1, "{condition}");
                None
            }
            (yes, no) => {
                assert_ne!(yes, no);
                Some(yes)
            }
        }
    };
    for (condition, expected) in [
        ("", Some(false)),
        ("0", Some(false)),
        ("-1", Some(true)),
        ("0x0", Some(false)),
        ("!0", Some(true)),
        ("! ! 1", Some(true)),
        ("1 && 0 || 1", Some(true)),
        ("0 && (0 || 1)", Some(false)),
        ("defined(A) && !defined(B)", Some(true)),
        ("defined(HAPROXY_MWORKER)", None),
        ("streq(\"$A\",1)", Some(true)),
        ("streq(\"$A\", 1)", Some(false)),
        // The line's own quotes are gone when the predicate's are read.
        ("streq(\\\"a,b\\\",'\"a,b\"')", Some(true)),
        ("strstr(abc,bc)", Some(true)),
        ("version_atleast(2.4-dev3)", Some(true)),
        ("version_before(2.8.3)", Some(false)),
        ("feature(EPOLL) && !feature(KQUEUE) && !feature(POLL)", Some(true)),
        ("enabled(SPLICE)", None),
        ("enabled(SPLICE) && 0", Some(false)),
        ("openssl_version_atleast(1.1) || 1", Some(true)),
    ] {
        assert_eq!(value(condition, Some("2.8.3"), Some("+EPOLL -KQUEUE")), expected, "{condition}");
    }
    assert_eq!(value("version_atleast(2.4)", None, None), None);
    assert_eq!(value("feature(EPOLL)", None, None), None);
    assert!(mistakes("global\n.if streq(\"a,b\",c)\n.endif\n")[0].contains("arguments"));
    let deep = format!("global\n.if {}1{}\n.endif\n", "(".repeat(100_000), ")".repeat(100_000));
    assert!(mistakes(&deep)[0].contains("parentheses"));
}

#[test]
fn one_branch_is_read() {
    let lines = "global\n.if 0\n log-tag a\n.if 1\n node a\n.else\n node b\n.endif\n.elif 1\n log-tag b\n.elif 1\n log-tag c\n.else\n \
                node d\n.endif\n";
    let config = config(lines);
    assert_eq!((text(config.log_tag.as_ref()), config.node), ("b", None));
}

#[test]
fn the_environment_changes() {
    let environment = |name: &str| ["A", "B"].contains(&name).then(|| name.as_bytes().to_vec());
    let tag = |lines: &str| {
        let lines = format!("global\n{lines}\n log-tag \"<$A$B$C>\"\n");
        let config = read(&[("a.cfg", lines.as_bytes())], &process(&environment)).expect("a configuration");
        text(config.log_tag.as_ref()).to_owned()
    };
    assert_eq!(tag(""), "<AB>");
    assert_eq!(tag(" setenv A x\n presetenv B y\n presetenv C z"), "<xBz>");
    assert_eq!(tag(" unsetenv A B"), "<>");
    assert_eq!(tag(" resetenv B"), "<B>");
    assert_eq!(tag(" setenv C z\n resetenv C\n setenv A x"), "<xz>");
    let format = word("\"$HAPROXY_TCP_LOG_FMT x\"", NOTHING);
    assert_eq!(text(Some(&format)), format!("{} x", core::str::from_utf8(Format::TcpLog.text()).expect("UTF-8")));
    assert_eq!(text(Some(&word("\"<$HAPROXY_BRANCH>\"", NOTHING))), "<2.8>");
}

#[test]
fn proxies_inherit() {
    let config = config(
        "global\n log /dev/log local0\n log 10.0.0.1 len 4096 format rfc5424 sample 1:10 local1 info err\n\
         defaults first\n mode http\n log global\n option httplog\n option dontlognull\n log-tag one\n stats enable\n\
         frontend a\n log global\n default_backend b\n\
         defaults second from first\n log-format second\n no log\n no option dontlognull\n\
         frontend c\n option httpslog\n log-format %ci\n log stdout format raw daemon\n\
         defaults third\n\
         frontend d from first\n log-format x\n option httplog clf\n\
         backend b from first\n\
         frontend e\n option tcplog clf\n default option dontlognull\n",
    );
    let [a, c, d, b, e] = &config.proxies[..] else { panic!("{:?}", config.proxies) };
    assert_eq!(a.log_format.as_ref().map(|format| &format.format), Some(&Format::HttpLog));
    assert_eq!(a.log_format.as_ref().map(|format| format.place.line), Some(7));
    assert_eq!((a.mode, a.targets.len(), a.dontlognull, text(a.log_tag.as_ref())), (Mode::Http, 2, true, "one"));
    assert_eq!(names(&a.applets), ["<STATS>"]);
    let target = &a.targets[1];
    assert_eq!((target.header, target.length, target.sample.as_deref()), (Header::Rfc5424, 4096, Some(&b"1:10"[..])));
    assert_eq!(
        (&target.facility[..], &target.level[..], &target.minimum_level[..]),
        (&b"local1"[..], &b"info"[..], &b"err"[..])
    );
    assert_eq!((format(c), c.mode, c.dontlognull, c.targets.len()), ("%ci", Mode::Http, false, 1));
    assert_eq!((c.targets[0].header, text(c.log_tag.as_ref())), (Header::Raw, "one"));
    assert_eq!(d.log_format.as_ref().map(|format| &format.format), Some(&Format::HttpLogClf));
    assert_eq!((&b.log_format, b.mode, b.targets.len()), (&None, Mode::Http, 2));
    assert_eq!((e.mode, e.targets.len(), e.log_tag.is_some(), e.dontlognull), (Mode::Tcp, 0, false, false));
    assert_eq!(config.frontend(b"b"), None);
    assert_eq!(config.backend(b"b"), Some(b));
}

#[test]
fn http_formats_need_mode_http() {
    let config = config(
        "defaults\n option httplog\nfrontend a\nfrontend b\n option httplog clf\nfrontend c\n mode http\n\
         frontend d\n log-format %r\nbackend e\n log-format x\n",
    );
    let formats = config.proxies.iter().map(|proxy| proxy.log_format.as_ref().map(|format| format.format.as_str()));
    let expected = [Some("option tcplog"), Some("option tcplog"), Some("option httplog"), Some("log-format"), None];
    assert_eq!(formats.collect::<Vec<_>>(), expected);
    assert_eq!(config.warnings.iter().map(|warning| warning.place.line).collect::<Vec<_>>(), [2, 5, 11]);
}

#[test]
fn captures_have_slots_in_their_order() {
    let config = config(
        "frontend f\n mode http\n capture request header Host len 64\n http-request capture path len 10 if TRUE\n\
         declare capture request len 20\n tcp-request content capture req.hdr(X-A,1) lower len 5\n\
         http-request capture req.fhdr(User-Agent) id 2\n declare capture response len 7\n capture response header Server len 8\n\
         http-response capture res.hdr(Via) id 0\n capture cookie sid= len 32\n",
    );
    let slots = |captures: &[Capture]| {
        let name = |capture: &Capture| capture.name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
        captures.iter().map(|capture| (name(capture), capture.length)).collect::<Vec<_>>()
    };
    let proxy = &config.proxies[0];
    let host = (Some("Host".to_owned()), 64);
    let agent = (Some("User-Agent".to_owned()), 20);
    assert_eq!(slots(&proxy.request_captures), [host, (None, 10), agent, (Some("X-A".to_owned()), 5)]);
    let server = (Some("Server".to_owned()), 8);
    assert_eq!(slots(&proxy.response_captures), [(Some("Via".to_owned()), 7), server]);
    assert_eq!(slots(proxy.cookie_capture.as_slice()), [(Some("sid=".to_owned()), 32)]);
}

#[test]
fn names_are_collected() {
    let config = config(
        "frontend f\n mode http\n bind :80,:81\n bind :443 ssl crt name alpn h2 name tls id 7\n bind quic4@:443 crt x\n\
         use_backend a if { path /a }\n use_backend a\n use_backend %[path] if TRUE\n use_backend b\n default_backend c\n\
         unique-id-format %{+X}o\\ %ci\n unique-id-header X-Id\n error-log-format %ci\n log-format-sd [x]\n\
         option logasap\n option dontlog-normal\n option log-separate-errors\n log-steps accept,close\n disabled\n\
         http-request use-service prometheus-exporter if { path /m }\n http-request cache-use c\n\
         listen l\n server s1 10.0.0.1:80 check\n server-template web 2-4 x:80\n server-template one 2 x:80\n\
         backend b\n mode log\n option log-health-checks\n",
    );
    let [f, l, b] = &config.proxies[..] else { panic!("{:?}", config.proxies) };
    let binds = f.binds.iter().map(|bind| (&bind.addresses[..], bind.name.as_deref(), bind.id, bind.is_tls));
    let expected = [
        (&b":80,:81"[..], None, None, false),
        (&b":443"[..], Some(&b"tls"[..]), Some(7), true),
        (&b"quic4@:443"[..], None, None, true),
    ];
    assert_eq!(binds.collect::<Vec<_>>(), expected);
    assert_eq!(
        (names(&f.use_backends), f.computes_backend, f.default_backend.as_deref()),
        (vec!["a", "b"], true, Some(&b"c"[..]))
    );
    assert_eq!((text(f.unique_id_format.as_ref()), f.unique_id_header.as_deref()), ("%{+X}o %ci", Some(&b"X-Id"[..])));
    assert_eq!((text(f.error_log_format.as_ref()), text(f.log_format_sd.as_ref())), ("%ci", "[x]"));
    assert!(f.logasap && f.dontlog_normal && f.log_separate_errors && f.is_disabled && !f.log_health_checks);
    assert_eq!(f.log_steps.as_deref().map(names), Some(vec!["accept", "close"]));
    assert_eq!(names(&f.applets), ["<PROMEX>", "<CACHE>"]);
    assert_eq!(names(&l.servers), ["s1", "web2", "web3", "web4", "one1", "one2"]);
    assert_eq!((l.kind, b.mode, b.log_health_checks), (Kind::Listen, Mode::Log, true));
}

#[test]
fn the_number_of_servers_is_bounded() {
    let config =
        config("backend b\n server-template a 1-4000000000 x:80\n server-template b 1-4000000000 x:80\n server c x\n");
    assert_eq!(config.proxies[0].servers.len(), 65_536);
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn several_files_are_one_configuration() {
    let files: [(&str, &[u8]); 2] =
        [("a.cfg", b"defaults\n log-format a\nfrontend f\n"), ("b.cfg", b"frontend g\r\n\tlog-tag b\r\n")];
    let config = read(&files, &process(NOTHING)).expect("a configuration");
    assert_eq!((format(&config.proxies[1]), config.proxies[1].place.file), ("a", 1));
    assert_eq!(text(config.proxies[1].log_tag.as_ref()), "b");
    let files: [(&str, &[u8]); 2] = [("a.cfg", b"frontend f\n.if 1\n"), ("b.cfg", b"log-tag b\n.endif\n")];
    let mistakes = read(&files, &process(NOTHING)).expect_err("mistakes");
    assert_eq!(mistakes.iter().map(|mistake| mistake.place.file).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn log_profiles_have_steps() {
    let config = config(
        "frontend f\n log 10.0.0.1 format raw profile p local0\nlog-profile p\n log-tag x\n on close format \"%ci\" sd [a]\n\
         on any drop\n on any format %cp\n on error drop\nring r\n log-tag ignored\n",
    );
    let profile = &config.profiles[0];
    assert_eq!((&profile.name[..], text(profile.log_tag.as_ref())), (&b"p"[..], "x"));
    let steps = profile.steps.iter().map(|step| {
        (
            core::str::from_utf8(&step.name).expect("UTF-8"),
            text(step.format.as_ref()),
            text(step.structured_data.as_ref()),
            step.is_dropped,
        )
    });
    assert_eq!(
        steps.collect::<Vec<_>>(),
        [("close", "%ci", "[a]", false), ("any", "%cp", "", false), ("error", "", "", true)]
    );
    assert_eq!(config.proxies[0].targets[0].profile.as_deref(), Some(&b"p"[..]));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&[("a", &bytes)], &process(NOTHING));
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(proptest::sample::select(vec![
        "frontend", "defaults", "backend", "listen", "global", "log-profile", "from", "f", "\n", "\n", "log", "global", "no",
        "default", "option", "httplog", "tcplog", "clf", "log-format", "\"", "'", "\\", "$A", "${A", "}", "[*]", "-", "#", "1",
        "len", "capture", "request", "header", "declare", "cookie", "response", "http-request", "server-template", "1-9", "on",
        "drop", "format", "sd", ".if", ".elif", ".else", ".endif", "(", ")", "!", "&&", "||", "defined", "streq", ",", "id",
        "bind", "name", "\\x4", "mode", "http", "setenv", "resetenv", "unsetenv", "é", "\r", "\t",
    ]), 0..80), glue in proptest::sample::select(vec!["", " "])) {
        let _ = read(&[("a", words.join(glue).as_bytes())], &process(&|_| Some(b"x y".to_vec())));
    }
}
