//! Lines of mail that are counted the quick way, since they look as most do, or by what they added before, count what they
//! count the plain way: a line that is wrapped in `message repeated 1 times: [ … ]` goes no other way.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use tailmeter::config::Config;
use tailmeter::metrics::{Dialect, FAMILIES};
use tailmeter::pipeline::Pipeline;
use tailmeter::source::{Block, End, Sink};
use tailmeter_parsers::envelope;

const CONFIGS: &[&str] = &[
    "{}",
    "postfix: {exclude_services: [smtpd], max_messages: 1000}",
    "max_series: 7",
    "metrics: {postfix_log_connections_total: {labels: [instance, service]}, \
     postfix_log_deliveries_total: {labels: [relay, recipient_domain, dsn]}, \
     postfix_log_delivery_delay_seconds: {labels: [transport, instance]}, \
     postfix_log_queue_removals_total: {labels: [service]}}\n\
     labels: {relay: {unbounded: true}, recipient_domain: {unbounded: true}}",
];

fn draw(random: &mut u64, below: usize) -> usize {
    *random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    (*random >> 33) as usize % below
}

/// Every line of a family's recorded logs.
fn recorded(family: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(family);
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let text = files.iter().map(|file| fs::read(file).unwrap());
    let text = text.map(|text| String::from_utf8_lossy(&text).into_owned()).collect::<String>();
    text.lines().map(str::to_owned).collect()
}

/// A line that says the same, in an envelope that is not remembered.
fn wrapped(line: &str) -> String {
    let envelope = envelope::detect(line.as_bytes());
    let message = line.get(envelope.start..envelope.end).unwrap_or_default();
    if envelope.program.is_empty() || message.is_empty() || envelope.repeated != 1 || envelope.end != line.len() {
        return line.to_owned();
    }
    let wrapped = format!("{}message repeated 1 times: [ {message}]", line.get(..envelope.start).unwrap());
    let again = envelope::detect(wrapped.as_bytes());
    assert_eq!(wrapped.get(again.start..again.end), Some(message));
    wrapped
}

/// What is shown after `lines`, in blocks of as many as `blocks` says.
fn counted(config: &str, format: &'static str, lines: &[String], blocks: &[usize]) -> (String, Vec<[u64; 3]>) {
    let config = Config::parse(config, "c.yml", FAMILIES).unwrap();
    let pipeline = Pipeline::new(&config, |_| {});
    let mut sink = pipeline.shard(format, &Dialect::Usual).unwrap().feed("mail.log", "");
    let (mut rest, mut outcomes) = (lines, Vec::new());
    for block in blocks {
        let (block, behind) = rest.split_at(rest.len().min(*block));
        rest = behind;
        let text = block.iter().map(|line| line.clone() + "\n").collect::<String>();
        sink.block(Block { lines: text.as_bytes(), end: End::Nowhere, bytes: text.len() as u64, cut: false });
        outcomes.push(sink.lines().outcomes());
    }
    assert!(rest.is_empty());
    let mut text = Vec::new();
    pipeline.render(&mut text);
    (String::from_utf8(text).unwrap(), outcomes)
}

#[test]
fn what_is_known_of_lines_changes_no_count() {
    let seed = std::env::var("REPEATS_SEED").map_or(u64::from(std::process::id()), |seed| seed.parse().unwrap());
    println!("REPEATS_SEED={seed}");
    let mut random = seed;
    for (format, families) in [("postfix", &["postfix"][..]), ("mail", &["postfix", "dovecot", "exim", "postgrey"])] {
        let lines = families.iter().flat_map(|family| recorded(family)).collect::<Vec<_>>();
        for config in CONFIGS {
            // Each line some times, at times far from the last, at times beside it.
            let mut shuffled = Vec::new();
            for _ in 0..4 {
                let mut at = draw(&mut random, lines.len());
                for _ in 0..lines.len() {
                    shuffled.extend(lines.get(at % lines.len()).cloned());
                    at +=
                        if draw(&mut random, 20) == 0 { draw(&mut random, lines.len()) } else { draw(&mut random, 3) };
                }
            }
            let (mut blocks, mut left) = (Vec::new(), shuffled.len());
            while left > 0 {
                let most = [3, 200, 4000][draw(&mut random, 3)];
                blocks.push((1 + draw(&mut random, most)).min(left));
                left -= blocks.last().unwrap();
            }
            let plain = shuffled.iter().map(|line| wrapped(line)).collect::<Vec<_>>();
            assert!(plain.iter().zip(&shuffled).filter(|(plain, line)| plain != line).count() > shuffled.len() / 2);
            let (found, found_outcomes) = counted(config, format, &shuffled, &blocks);
            let (expected, expected_outcomes) = counted(config, format, &plain, &blocks);
            let differing = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
            assert_eq!(differing, None, "{config}");
            assert_eq!(found.len(), expected.len(), "{config}");
            assert_eq!(found_outcomes, expected_outcomes, "{config}");
            assert!(found.contains("postfix_log_delivery"));
        }
    }
}
