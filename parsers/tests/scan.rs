//! The scanner against the plain parser: every line of every fixture, whole, cut and with bytes changed.

#![allow(clippy::expect_used, reason = "in a test, a panic is the failure")]

mod fixtures;
mod random;

use random::Random;
use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::{Event, Line, Scanner, parse};

/// Lines of the shapes that matter, in case the fixtures change.
const LINES: &str = r#"Feb  6 12:14:14 lb1 haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"
Feb  6 12:14:14 lb1 haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:15.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /a/b/c?d=e HTTP/1.1"
Feb  6 12:14:15 lb1 haproxy[14390]: ::1:33317 [06/Feb/2009:12:14:16.655] http-in static/<NOSRV> 10/-1/-1/-1/109 503 212 - - SC-- 1/1/1/1/0 0/0 "POST /a HTTP/1.1"
<134>Feb  6 12:14:15 haproxy[14390]: 10.0.1.2:5 [06/Feb/2009:12:14:16.655] f b/s 0/1/2/3/+4 200 +212 a=b c=d --VN 12345678/1234567/123456/12345/+3 12/0 "GET / HTTP/1.1"
2026-02-01T12:14:14.572449+00:00 lb1 haproxy[7]: 10.0.1.2:5 [01/Mar/2026:12:14:16.655] f b/s 0/1/2/3/4 200 99999999 - - ---- 1/2/3/4/5 6/7 "<BADREQ>"
10.0.1.2:5 [01/Mar/2026:12:14:16.655] f b/s 0/1/2/3/4 200 999999999 - - ---- 1/2/3/4/5 6/7 {a b|c} {d|e} "OPTIONS * HTTP/1.0"
10.0.1.2:33320 [06/Feb/2009:12:12:56.319] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0
"#;

/// Bytes that mean something somewhere in a line, and some that never do.
const BYTES: &[u8] = b" /\"-+:[]{}|~#0123456789aZ\0\xff\r\t<>.";

/// Scans `text` in every way; every line must have one outcome, the one of `parse`.
fn check(text: &[u8]) {
    // Twice: the second time every envelope is known.
    check_blocks(&[text, text]);
}

/// Scans `blocks` in every way, each time by one scanner.
fn check_blocks(blocks: &[&[u8]]) {
    for mut scanner in Scanner::all() {
        for text in blocks {
            let mut lines = text.split(|byte| *byte == b'\n').collect::<Vec<_>>();
            if lines.last().is_some_and(|line| line.is_empty()) {
                lines.pop();
            }
            let mut expected = lines.into_iter();
            scanner.scan(text, &mut |batch| {
                for index in 0..batch.len() {
                    let line = expected.next().expect("one line too many");
                    assert_eq!(batch.text(index), line);
                    assert_eq!(batch.repeated(index), envelope::detect(line).repeated);
                    let plain = parse(line);
                    let scanned = match batch.line(index) {
                        Line::Http(http) => Ok(Event::Http(*http)),
                        Line::Other(other) => *other,
                    };
                    assert_eq!(scanned, plain, "{}", String::from_utf8_lossy(line));
                }
            });
            assert_eq!(expected.next(), None);
        }
    }
}

/// All fixture logs, and the lines above.
fn corpus() -> Vec<u8> {
    [LINES.as_bytes(), &fixtures::logs(|_| true)].concat()
}

#[test]
fn every_line_reads_the_same() {
    check(&corpus());
}

#[test]
fn the_common_shape_is_read_fast() {
    assert!(Scanner::new().is_fast() || !cfg!(target_arch = "x86_64"), "this test needs a processor with AVX2");
}

#[test]
fn every_prefix_reads_the_same() {
    let corpus = corpus();
    for line in corpus.split(|byte| *byte == b'\n').filter(|line| line.len() < 600) {
        let mut text = line.to_vec();
        for length in 0..line.len() {
            text.push(b'\n');
            text.extend(&line[..length]);
        }
        check(&text);
    }
}

#[test]
fn every_changed_byte_reads_the_same() {
    let corpus = corpus();
    let seed = 0x9e37_79b9_7f4a_7c15;
    let mut random = Random(seed);
    for line in corpus.split(|byte| *byte == b'\n').filter(|line| line.len() < 600) {
        // The line itself first: its envelope is known when the changed ones come.
        let mut text = line.to_vec();
        for _ in 0..400 {
            text.push(b'\n');
            text.extend(random.change(line, 0, BYTES));
        }
        check(&text);
    }
}

/// A seed of its own for each run, or the one that `SEED` gives from a failure. Not 0.
fn seed() -> u64 {
    let elapsed = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_nanos() as u64;
    let seed = std::env::var("SEED").map_or(elapsed, |seed| seed.parse().expect("a number")) | 1;
    println!("SEED={seed}");
    seed
}

/// `line` as it is, with bytes changed anywhere or in what stands before its message, or without its last bytes.
fn variant(random: &mut Random, line: &[u8]) -> Vec<u8> {
    match random.below(6) {
        0 => random.change(line, 0, BYTES),
        1 => {
            let (head, rest) = line.split_at(line.len().min(64));
            [&random.change(head, 0, BYTES), rest].concat()
        }
        2 => line[..line.len() - random.below(line.len().min(4) + 1)].to_vec(),
        _ => line.to_vec(),
    }
}

/// What a scanner has learned, or not yet, from the few lines before decides how the next one is read: in a large block
/// it has long learned all that there is.
#[test]
fn small_blocks_read_the_same() {
    let mut random = Random(seed());
    let corpus = corpus();
    let recorded = corpus.split(|byte| *byte == b'\n').filter(|line| line.len() < 400).collect::<Vec<_>>();
    for _ in 0..4_000 {
        // The envelope of one around the message of another; few of them, so that each comes again.
        let kinds = (0..=random.below(4)).map(|_| {
            let [one, other] = [(); 2].map(|()| recorded[random.below(recorded.len())]);
            let [around, envelope] = [one, other].map(envelope::detect);
            let (before, message) = (&one[..around.start], &other[envelope.start..envelope.end]);
            match random.below(3) {
                0 => [before, b"message repeated 2 times: [ ", message, b"]"].concat(),
                _ => [before, message, &one[around.end..]].concat(),
            }
        });
        let kinds = kinds.collect::<Vec<_>>();
        let blocks = (0..=random.below(3)).map(|_| {
            let lines = (0..=random.below(40)).map(|_| {
                let kind = &kinds[random.below(kinds.len())];
                variant(&mut random, kind)
            });
            lines.collect::<Vec<_>>().join(&b'\n')
        });
        let blocks = blocks.collect::<Vec<_>>();
        check_blocks(&blocks.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

#[test]
fn random_bytes_read_the_same() {
    let mut random = Random(42);
    for _ in 0..200 {
        let length = random.below(40_000);
        let bytes = (0..length).map(|_| if random.below(60) == 0 { b'\n' } else { random.below(256) as u8 });
        check(&bytes.collect::<Vec<_>>());
    }
}

#[test]
fn lines_longer_than_a_stretch_are_one_line() {
    for length in [16_000, 16_383, 16_384, 16_385, 40_000, 100_000] {
        let mut text = LINES.as_bytes().to_vec();
        let long = LINES.lines().next().expect("line").replace("/index.html", &"/x".repeat(length / 2));
        text.extend(long.as_bytes());
        text.push(b'\n');
        text.extend(LINES.as_bytes());
        check(&text);
        text.pop();
        check(&text);
    }
}

#[test]
fn an_envelope_in_brackets_is_not_that_of_a_line_without_the_closing_one() {
    let line = LINES.lines().next().expect("a line");
    let message = line.split_once(": ").expect("an envelope").1;
    // The others give the line before them enough room to be read fast.
    let text = format!(
        "message repeated 1 times: [ {message}]\nmessage repeated 1 times: [ {message}\n{line}\n{line}\n{line}\n"
    );
    check(text.as_bytes());
}
