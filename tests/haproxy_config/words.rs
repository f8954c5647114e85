//! Lines are cut into words as HAProxy cuts them: `.notice` makes it show the only word behind it.

use tailmeter_parsers::haproxy::config::{Format, Process, read};

use crate::lab::Lab;
use crate::program::{Chance, messages, variable};

/// HAProxy stops at 50 mistakes.
const LINES_AT_ONCE: usize = 40;

/// What random lines consist of: all that is special, and little else. No `n` and no `r`: a message is one line.
const PIECES: &[&str] = &[
    "a",
    "b",
    "4",
    "x",
    "\\x4a",
    "\\xb",
    "t",
    " ",
    "  ",
    "\t",
    "\\",
    "\\\\",
    "\"",
    "\"",
    "'",
    "'",
    "#",
    "$",
    "$A",
    "$E",
    "${A}",
    "${A[*]}",
    "${B_4-4}",
    "${NONE-a 4}",
    "${NONE}",
    "$NONE",
    "{",
    "}",
    "[*]",
    "-",
    "_",
    "é",
    "%",
    "${.LINE}",
];

/// The only argument of a keyword, or what is wrong with it and where.
#[derive(Debug, PartialEq)]
enum Word {
    One(Vec<u8>),
    Several,
    Broken { column: u32 },
}

/// What the reader makes of `argument` in line `number`.
fn ours(argument: &str, number: u32) -> Word {
    let mut text = "\n".repeat(number as usize - 2);
    text.push_str("frontend f\n");
    text.push_str("log-format ");
    text.push_str(argument);
    let process = Process { environment: &variable, version: Some("2.6.12"), features: None };
    match read(&[("a.cfg", text.as_bytes())], &process) {
        Ok(config) => match &config.proxies[0].log_format.as_ref().expect("a format").format {
            Format::Custom(word) => Word::One(word.text().to_vec()),
            other => panic!("{other:?}"),
        },
        Err(mistakes) => match &mistakes[0] {
            mistake if mistake.message.contains("needs a format") => Word::One(Vec::new()),
            mistake if mistake.message.contains("one argument") => Word::Several,
            mistake => Word::Broken { column: mistake.place.column - "log-format ".len() as u32 },
        },
    }
}

/// What HAProxy makes of a `.notice`.
fn theirs(message: &[u8]) -> Word {
    if let Some(word) = message.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'.")) {
        return Word::One(word.to_vec());
    }
    let message = String::from_utf8_lossy(message);
    if message.starts_with("Unexpected argument") {
        return Word::Several;
    }
    let (_, position) = message.split_once(" at position ").unwrap_or_else(|| panic!("{message}"));
    let position = position.trim_end_matches(':').parse::<u32>().expect("a number");
    Word::Broken { column: position - ".notice ".len() as u32 }
}

fn compare(arguments: &[String]) {
    let lab = Lab::new();
    for arguments in arguments.chunks(LINES_AT_ONCE) {
        // The first line is empty: in ours, a section begins before the word.
        let text = arguments.iter().map(|argument| format!("\n.notice {argument}")).collect::<String>() + "\n";
        let messages = messages(&lab, text.as_bytes());
        for (argument, number) in arguments.iter().zip(2..) {
            let message = messages.iter().find(|(line, _)| *line == number);
            let (_, message) = message.unwrap_or_else(|| panic!("HAProxy says nothing to {argument:?}"));
            let (mut ours, mut theirs) = (ours(argument, number), theirs(message));
            // HAProxy counts bytes.
            if let (Word::Broken { column: ours }, Word::Broken { column: theirs }) = (&mut ours, &mut theirs) {
                let is_begun = |byte: &u8| byte & 0xc0 != 0x80;
                let before = argument.as_bytes().iter().take(*theirs as usize).filter(|byte| is_begun(byte));
                *theirs = before.count() as u32;
                // At the end of the line there is no byte to count.
                *theirs += u32::from(*ours == *theirs + 1 && *ours as usize > argument.chars().count());
            }
            // An empty word before others is an empty format to one and too many words to the other.
            let is_empty = ours == Word::One(Vec::new()) && theirs == Word::Several;
            assert!(ours == theirs || is_empty, "{argument:?}: {ours:?} where HAProxy has {theirs:?}");
        }
    }
}

#[test]
fn written_by_hand() {
    let arguments = [
        r"%{+Q}o\ %t\ %s\ %{-Q}r",
        r#""%{+Q}o %t %s %{-Q}r""#,
        r"'%{+Q}o %t %s %{-Q}r'",
        r#""%{+Q}o %t"' %s %{-Q}r'"#,
        r#""%{+Q}o %t"' %s'\ %{-Q}"#,
        r"a\$b",
        r#""a\$b""#,
        r#"\"a\'"#,
        r#""\'a\"""#,
        r"'\n'",
        r"a\1b\",
        r"a\#b#c",
        r#""a#b""#,
        r"\x41\x6A\t",
        r"\x4",
        r"\xg1",
        r#""${A-"#,
        r#""${A[2]}""#,
        r#""${.FILES}""#,
        r#""$4""#,
        r#""${NONE-a"b}""#,
        r#""a${NONE}""#,
        r#""<${A}>$E<$B_4>""#,
        r#"<"${A[*]}">"#,
        "'",
        "a 'b",
    ];
    compare(&arguments.map(str::to_owned));
}

#[test]
fn written_by_chance() {
    let mut chance = Chance::new();
    let mut argument = || (0..=chance.below(12)).map(|_| chance.pick(PIECES)).collect::<String>();
    let arguments = (0..1_000).map(|_| argument()).collect::<Vec<_>>();
    compare(&arguments);
}
