//! HAProxy's lines that are neither requests nor sessions: what is read of each form, whole, cut, and imitated.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]

mod fixtures;
mod random;

use random::Random;
use tailmeter_parsers::Reason;
use tailmeter_parsers::haproxy::{
    CheckResult, ConnectionError, Event, HealthCheck, Http, Notice, Proxy, ProxyState, ServerChange, ServerState, Tcp,
    parse,
};

fn notice(line: &str) -> Notice<'_> {
    match parse(line.as_bytes()) {
        Ok(Event::Notice(notice)) => notice,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> ConnectionError<'_> {
    let Notice::ConnectionError(error) = notice(line) else { panic!("{line}") };
    error
}

fn check(line: &str) -> HealthCheck<'_> {
    let Notice::HealthCheck(check) = notice(line) else { panic!("{line}") };
    check
}

fn server(line: &str) -> ServerState<'_> {
    let Notice::ServerState(server) = notice(line) else { panic!("{line}") };
    server
}

fn proxy(line: &str) -> Proxy<'_> {
    let Notice::Proxy(proxy) = notice(line) else { panic!("{line}") };
    proxy
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const DATE: &str = "[01/Feb/2024:01:33:38.571]";

#[test]
fn a_notice_makes_no_event_larger() {
    assert!(size_of::<Notice<'_>>() <= 48, "{}", size_of::<Notice<'_>>());
    assert!(size_of::<Notice<'_>>() <= size_of::<Tcp<'_>>().min(size_of::<Http<'_>>()));
}

#[test]
fn a_connection_error_names_client_listener_and_reason() {
    let line = format!(
        "2001:db8::7:40001 {DATE} https-in/front-door: SSL handshake failure (error:0A000076:SSL routines::no suitable signature algorithm)"
    );
    let read = error(&line);
    assert_eq!(text(read.client_ip()), "2001:db8::7");
    assert_eq!(read.client_port(), Some(40_001));
    assert_eq!(text(read.accept_date()), &DATE[1..25]);
    assert_eq!(text(read.frontend_name()), "https-in");
    assert_eq!(text(read.listener()), "front-door");
    assert_eq!(read.reason, "ssl_handshake_failure");
    assert_eq!(read.detail().map(text), Some("error:0A000076:SSL routines::no suitable signature algorithm"));
    assert!(!read.truncated());

    let line = format!("unknown {DATE} fe/1: unknown connection error (code=7 flags=00000300)");
    let read = error(&line);
    assert_eq!((text(read.client_ip()), read.client_port()), ("unknown", None));
    assert_eq!((text(read.frontend_name()), text(read.listener())), ("fe", "1"));
    assert_eq!((read.reason, read.detail().map(text)), ("unknown_connection_error", Some("code=7 flags=00000300")));

    let whole = |message: &str| error(&format!("unix:1 {DATE} fe/1: {message}")).reason;
    assert_eq!(whole("Stopped a TLSv1 heartbeat attack (CVE-2014-0160)"), "ssl_heartbeat_attack");
    assert_eq!(whole("SSL handshake failure after heartbeat"), "ssl_handshake_failure_after_heartbeat");
    assert_eq!(whole("SSL handshake failure"), "ssl_handshake_failure");
    assert_eq!(whole("Timeout during SSL handshake"), "timeout_during_ssl_handshake");
    assert_eq!(whole("Received an invalid PROXY protocol header"), "proxy_protocol_invalid");
    assert_eq!(whole("Something that no version says yet"), "other");
    assert_eq!(whole("SSL handshake failures"), "other");
}

#[test]
fn a_cut_message_is_no_other_one() {
    let line = format!("192.0.2.7:40001 {DATE} fe/1: SSL handshake failure (error:0A00)");
    let message = line.find("SSL").unwrap();
    for end in 0..line.len() {
        match parse(&line.as_bytes()[..end]) {
            Ok(Event::Notice(Notice::ConnectionError(read))) => {
                assert!(end >= message + "SSL handshake failure".len(), "{}", &line[..end]);
                assert_eq!(read.reason, "ssl_handshake_failure");
                assert_eq!(text(read.frontend_name()), "fe");
            }
            Ok(other) => assert!(end == 0 && other == Event::Notice(Notice::Empty), "{}", &line[..end]),
            Err(reject) if end > message => assert_eq!((reject.reason, reject.field), (Reason::Truncated, "reason")),
            Err(_) => {}
        }
    }
}

#[test]
fn a_check_tells_how_it_ended() {
    let read = check(
        "Health check for backup server app/spare1 conditionally succeeded, reason: Layer7 check conditionally passed, code: 404, info: \"a, b. c\", check duration: 12ms, status: 2/3 UP.",
    );
    assert_eq!((text(read.backend_name()), text(read.server_name())), ("app", "spare1"));
    assert_eq!((read.result, read.is_backup, read.is_agent), (CheckResult::ConditionallySucceeded, true, false));
    let details = read.details();
    assert_eq!(details.reason, Some("layer7_check_conditionally_passed"));
    assert_eq!((details.code, details.check_duration_ms), (Some(404), Some(12)));
    assert_eq!(details.info.map(text), Some("a, b. c"));
    let status = read.status().unwrap();
    assert_eq!((status.health, status.threshold, text(status.state)), (2, 3, "UP"));
    assert!(!read.truncated());

    let read = check("Agent check for server app/app1 failed, reason: Quantum flux, status: 0/1 DOWN.");
    assert_eq!((read.result, read.is_agent, read.details().reason), (CheckResult::Failed, true, Some("other")));
    assert!(read.status().is_some() && !read.truncated());
}

#[test]
fn what_a_check_answers_imitates_nothing() {
    let read = check(
        "Health check for server a/b failed, reason: Layer7 wrong status, code: 500, info: \"x, check duration: 9ms, status: 3/3 UP. Server c/d is UP\", check duration: 1ms, status: 0/2 DOWN.",
    );
    assert_eq!(read.details().check_duration_ms, Some(1));
    assert_eq!(text(read.status().unwrap().state), "DOWN");
    let read = server(
        "Server a/b is DOWN, reason: Layer7 wrong status, code: 500, info: \". 9 active and 9 backup servers left. via c/d\", check duration: 1ms. 0 active and 1 backup servers left. Running on backup. 2 sessions active, 3 requeued, 4 remaining in queue.",
    );
    assert_eq!((read.change, text(read.server_name()), read.via()), (ServerChange::Down, "b", None));
    let remaining = read.remaining().unwrap();
    assert_eq!((remaining.active_servers, remaining.backup_servers), (0, 1));
    let sessions = [remaining.sessions_active, remaining.sessions_requeued, remaining.sessions_queued];
    assert_eq!(sessions, [Some(2), Some(3), Some(4)]);
    // A name that DNS gave.
    assert!(parse(b"Server a/b ('x is DOWN. y') is UP/READY (resolves again).").is_err());
}

#[test]
fn every_change_of_a_server_has_its_word() {
    let sessions = " 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
    for (phrase, state, cause, via) in [
        ("is UP.", "up", None, None),
        ("is UP via c/d.", "up", None, Some("c/d")),
        ("is UP, changed from Web interface.", "up", Some("changed from Web interface"), None),
        ("is UP, reason: Layer4 check passed, check duration: 0ms.", "up", None, None),
        ("is DOWN, changed from CLI.", "down", Some("changed from CLI"), None),
        (
            "is DOWN, changed from server-state after a reload.",
            "down",
            Some("changed from server-state after a reload"),
            None,
        ),
        ("is stopping.", "stopping", None, None),
        ("is going DOWN for maintenance.", "maintenance", None, None),
        (
            "is going DOWN for maintenance (No IP for server ) via c/d.",
            "maintenance",
            Some("No IP for server "),
            Some("c/d"),
        ),
        (
            "was DOWN and now enters maintenance ('disable' on stats page).",
            "maintenance",
            Some("'disable' on stats page"),
            None,
        ),
        ("enters drain state ('stop' on stats page).", "drain", Some("'stop' on stats page"), None),
        ("enters drain state via c/d.", "drain", None, Some("c/d")),
        ("is UP/READY (leaving forced maintenance).", "ready", Some("leaving forced maintenance"), None),
        ("is UP/DRAIN (leaving forced maintenance).", "drain", Some("leaving forced maintenance"), None),
        ("is DOWN/READY (leaving maintenance).", "down", Some("leaving maintenance"), None),
        ("is DOWN/DRAIN (leaving maintenance).", "down", Some("leaving maintenance"), None),
        ("('app1.example.net') is UP/READY (resolves again).", "ready", Some("resolves again"), None),
        ("is UP (leaving forced drain).", "ready", Some("leaving forced drain"), None),
        ("is UP (leaving drain) via c/d.", "ready", Some("leaving drain"), Some("c/d")),
        ("is DOWN (leaving drain).", "down", Some("leaving drain"), None),
        (
            "is leaving forced maintenance but remains in maintenance via c/d.",
            "remains_in_maintenance",
            None,
            Some("c/d"),
        ),
        ("('app1.example.net') resolves again but remains in maintenance.", "remains_in_maintenance", None, None),
        ("remains in forced maintenance.", "remains_in_maintenance", None, None),
        ("is leaving forced drain but remains in drain mode.", "remains_in_drain", None, None),
        ("remains in forced drain mode.", "remains_in_drain", None, None),
        ("remains in drain mode.", "remains_in_drain", None, None),
        ("administratively READY thanks to valid DNS answer.", "resolved", None, None),
        ("does what no version tells yet.", "other", None, None),
    ] {
        for sessions in ["", sessions] {
            let line = format!("Backup Server a.b:c/d-e_f {phrase}{sessions}");
            let read = server(&line);
            let names = (text(read.backend_name()), text(read.server_name()), read.is_backup);
            assert_eq!(names, ("a.b:c", "d-e_f", true), "{line}");
            assert_eq!(read.change.as_str(), state, "{line}");
            if state != "other" {
                assert_eq!((read.cause().map(text), read.via().map(text)), (cause, via), "{line}");
                assert_eq!(read.remaining().is_some(), !sessions.is_empty(), "{line}");
            }
            assert!(!read.truncated(), "{line}");
        }
    }
}

#[test]
fn a_cut_line_has_the_value_of_the_whole_one_or_none() {
    for line in [
        "Server app/app1 is UP/READY (leaving forced maintenance).",
        "Server app/app1 is UP/DRAIN (leaving forced maintenance).",
        "Server app/app1 is UP (leaving forced drain).",
        "Server app/app1 is UP, reason: Layer4 check passed, check duration: 0ms. 1 active and 0 backup servers online.",
        "Server app/app1 administratively READY thanks to valid DNS answer.",
        "Server app/app1 ('app1.example.net') is UP/READY (resolves again).",
        "Server app/app1 is leaving forced drain but remains in drain mode.",
        "Server app/app1 was DOWN and now enters maintenance (DNS NX status).",
        "Health check for server app/app1 failed, reason: Layer7 wrong status, code: 500, info: \"Status\", check duration: 10ms, status: 1/2 UP.",
        "Agent check for backup server app/app1 conditionally succeeded, reason: Health analyze, info: \"x\", status: 1/2 UP.",
    ] {
        let word = |event: Notice<'_>| match event {
            Notice::ServerState(server) => (server.change.as_str(), None),
            Notice::HealthCheck(check) => (check.result.as_str(), check.details().reason),
            other => panic!("{line}: {other:?}"),
        };
        let whole = word(notice(line));
        let mut kept = 0;
        for end in 1..line.len() {
            match parse(&line.as_bytes()[..end]) {
                Ok(Event::Notice(cut)) => {
                    kept += 1;
                    let (state, reason) = word(cut);
                    assert_eq!(state, whole.0, "{}", &line[..end]);
                    assert!(reason.is_none() || reason == whole.1, "{}: {reason:?}", &line[..end]);
                    assert!(cut.truncated() || line.as_bytes()[end - 1] == b'.', "{}", &line[..end]);
                }
                Ok(other) => panic!("{}: {other:?}", &line[..end]),
                Err(reject) => {
                    let is_of_start = reject.reason == Reason::UnknownForm && end < 20;
                    assert!(reject.reason == Reason::Truncated || is_of_start, "{}: {reject}", &line[..end]);
                }
            }
        }
        assert!(kept > 0, "{line}");
    }
}

#[test]
fn backends_and_proxies_have_their_names() {
    for (line, cut) in [
        ("backend app.1 has no server available!", false),
        ("proxy app.1 has no server available!", false),
        ("backend app.1 has no serv", true),
    ] {
        let Notice::BackendState(state) = notice(line) else { panic!("{line}") };
        assert_eq!((text(state.backend_name), state.truncated), ("app.1", cut));
    }
    for (line, state) in [
        ("Proxy www.1 started.", ProxyState::Started),
        ("Proxy www.1 stopped (cumulated conns: FE: 1, BE: 20).", ProxyState::Stopped),
        ("Proxy www.1 hard-stopped (3 remaining conns will be closed).", ProxyState::HardStopped),
        ("Paused frontend www.1.", ProxyState::Paused),
        ("Pausing proxy www.1.", ProxyState::Pausing),
        ("Resumed frontend www.1.", ProxyState::Resumed),
        ("Enabling frontend www.1.", ProxyState::Enabling),
        ("Stopping backend www.1 in 0 ms.", ProxyState::Stopping),
        ("frontend www.1 failed to enter pause mode.", ProxyState::PauseFailed),
    ] {
        let read = proxy(line);
        assert_eq!((text(read.proxy_name), read.state), ("www.1", state), "{line}");
        let connections = (state == ProxyState::Stopped).then_some([1, 20]);
        assert_eq!(read.cumulated_connections(), connections, "{line}");
    }
    assert!(parse(b"backend app does what no version tells yet").is_err());
}

#[test]
fn a_session_without_a_log_format_has_its_ends() {
    for (line, client, destination) in [
        ("Connect from ::1:37742 to ::1:20302 (www/TCP)", Some("::1:37742"), "::1:20302"),
        ("Connect from 192.0.2.7:1 to undetermined address:0 (www/TCP)", Some("192.0.2.7:1"), "undetermined address:0"),
        ("Connect from unknown source to listener 1 (www/TCP)", Some("unknown source"), "listener 1"),
        ("Connect to unix:1 (www/TCP)", None, "unix:1"),
    ] {
        let Notice::Connect(read) = notice(line) else { panic!("{line}") };
        assert_eq!((read.client().map(text), read.destination().map(text)), (client, Some(destination)), "{line}");
        assert_eq!((text(read.frontend_name()), text(read.mode())), ("www", "TCP"), "{line}");
    }
}

/// All lines of the fixtures that are notices.
fn recorded() -> Vec<Vec<u8>> {
    let files = ["events.log", "notices.log", "composed.log", "badreq.log", "httpslog.log"];
    let logs = fixtures::logs(|name| files.contains(&name));
    let lines = logs.split(|byte| *byte == b'\n').filter(|line| matches!(parse(line), Ok(Event::Notice(_))));
    lines.map(<[u8]>::to_vec).collect()
}

/// What metrics need of a line: the texts and words of its labels.
fn labels<'a>(notice: &Notice<'a>) -> Option<(&'a [u8], &'a [u8], &'static str)> {
    match notice {
        Notice::ConnectionError(error) => Some((error.frontend_name(), error.listener(), error.reason)),
        Notice::HealthCheck(check) => Some((check.backend_name(), check.server_name(), check.result.as_str())),
        Notice::ServerState(server) => Some((server.backend_name(), server.server_name(), server.change.as_str())),
        Notice::BackendState(backend) => Some((backend.backend_name, b"-", "")),
        _ => None,
    }
}

/// Asks for everything that a notice can tell.
fn ask_everything(notice: &Notice<'_>) {
    if let Some((name, other, _)) = labels(notice) {
        assert!(!name.is_empty() && !other.is_empty() && !name.contains(&b' '), "{notice:?}");
    }
    let _ = notice.truncated();
    match notice {
        Notice::Connect(connect) => {
            let _ = (connect.client(), connect.destination(), connect.frontend_name(), connect.mode());
        }
        Notice::ConnectionError(error) => {
            let _ = (error.client_ip(), error.client_port(), error.accept_date(), error.message(), error.detail());
        }
        Notice::HealthCheck(check) => {
            let _ = (check.details(), check.status());
        }
        Notice::ServerState(server) => {
            let _ = (server.cause(), server.details(), server.via(), server.remaining());
        }
        Notice::ServerAddress(server) => {
            let _ = (server.backend_name(), server.server_name());
        }
        Notice::Proxy(proxy) => {
            let _ = proxy.cumulated_connections();
        }
        Notice::Process(process) => {
            let _ = (process.level(), process.message());
        }
        Notice::BackendState(_) | Notice::Empty => {}
    }
}

const BYTES: &[u8] = b" /\"'(),.:-0123456789aZ\0\xff\t<>[]";

#[test]
fn no_change_of_a_line_makes_it_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let lines = recorded();
    assert!(lines.len() > 200);
    for line in &lines {
        let cuts = (0..=line.len()).map(|end| line[..end].to_vec());
        let changes = (0..300).map(|_| random.change(line, 0, BYTES));
        for bent in cuts.chain(changes) {
            if let Ok(Event::Notice(notice)) = parse(&bent) {
                ask_everything(&notice);
            }
        }
    }
}

#[test]
fn nothing_right_of_the_labels_changes_them() {
    let seed = 0x5851_f42d_4c95_7f2d;
    let mut random = Random(seed);
    let mut tried = 0;
    for line in recorded() {
        let Ok(Event::Notice(notice)) = parse(&line) else { unreachable!() };
        let (Some(expected), Some(reason)) = (labels(&notice), memchr::memmem::find(&line, b", reason: ")) else {
            continue;
        };
        for _ in 0..300 {
            tried += 1;
            let bent = random.change(&line, reason + 2, BYTES);
            match parse(&bent) {
                Ok(Event::Notice(notice)) => assert_eq!(labels(&notice), Some(expected), "{}", bent.escape_ascii()),
                other => panic!("{}: {other:?}, seed {seed:#x}", bent.escape_ascii()),
            }
        }
    }
    assert!(tried > 10_000);
}

#[test]
fn what_is_said_on_standard_error_is_not_counted() {
    let line = "[WARNING]  (811) : Server app/app1 is DOWN, reason: Layer4 timeout, check duration: 2001ms.";
    let Notice::Process(read) = notice(line) else { panic!("{line}") };
    assert_eq!(read.level().map(text), Some("WARNING"));
    assert!(text(read.message()).starts_with("Server app/app1 is DOWN"));
    for line in [
        line,
        "[NOTICE] (1) : haproxy version is 2.6.12",
        "SIGHUP: Server app/app1 is UP. Conn: 0 act, 0 pend, 3 tot.",
        "backend name mismatch: from server state file: 'a', from running config 'b'",
        "app/app3 changed its IP from 192.0.2.7 to 192.0.2.8 by DNS cache.",
        "app/app3: IP changed from '192.0.2.7' to '192.0.2.8' by 'DNS cache'.",
        "Resuming listener: protocol tcp: no",
        "",
    ] {
        assert!(!notice(line).is_counted(), "{line}");
    }
    let Notice::ServerAddress(read) = notice("app/app3 changed its IP from 192.0.2.7 to 192.0.2.8 by DNS cache.")
    else {
        panic!()
    };
    assert_eq!((text(read.backend_name()), text(read.server_name())), ("app", "app3"));
}
