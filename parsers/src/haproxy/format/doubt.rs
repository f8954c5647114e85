//! Which values of a layout are found for sure, whatever clients send.

use super::layout::{Note, Step, Value};
use super::machine::End;
use super::{Encoding, Grammar, Missing};

/// Marks the steps whose values cannot be found for sure.
///
/// From the left, all are found up to a value that may hold what follows it. Where that ends is sure nevertheless if the
/// text that follows has a byte that nothing behind it can hold: then there are as many of these bytes in the rest of the line as in
/// the texts there. From the right, all are found back to a value that may hold the last byte of the text before it.
pub(super) fn doubt(steps: &mut [Step], tail: &[u8]) {
    // Where nothing may be written, a space is left out.
    let is_free = |byte: u8, steps: &[Step]| {
        let touches = |step: &Step| step.check.accepts(byte) || (byte == b' ' && step.may_vanish());
        !steps.iter().any(touches)
    };
    let mut first = steps.len();
    for (index, step) in steps.iter().enumerate() {
        let after = steps.get(index + 1).map_or(tail, |next| &next.before);
        let behind = steps.get(index + 1..).unwrap_or_default();
        // Behind a space none is written, and behind what is not there there may be one.
        let is_behind_space = match (step.before.last(), index.checked_sub(1).and_then(|last| steps.get(last))) {
            (Some(byte), _) => *byte == b' ',
            (None, Some(last)) => last.check.accepts(b' ') || (last.may_vanish() && last.grammar != Grammar::Path),
            (None, None) => true,
        };
        let marks = |bytes: &[u8]| bytes.iter().any(|byte| may_begin(behind, tail, *byte, is_behind_space));
        let is_optional = step.missing == Missing::Nothing
            && match step.grammar {
                Grammar::Captures => false,
                // They tell by their first byte, unless what follows may begin with it.
                Grammar::Query => marks(b"?<"),
                Grammar::Path if step.check.tells_nothing() => marks(b"/<"),
                Grammar::Path => false,
                _ => true,
            };
        let is_open = step.is_blurred || step.end == Some(End::Choice) || is_optional || is_taken_short(step, after);
        // Nobody says whether the brace is the captures' own, or whose digits these are.
        if step.runs_on || is_brace_shared(step, after, behind.first()) {
            first = index;
            break;
        }
        let is_counted = |byte: &&u8| is_free(**byte, behind) && !(**byte == b' ' && step.may_vanish());
        if is_open && !after.iter().any(|byte| is_counted(&byte)) && !(after.is_empty() && behind.is_empty()) {
            first = index;
            break;
        }
    }
    let mut last = steps.len();
    while last > first {
        let step = &steps[last - 1];
        let is_found = match step.before.last() {
            Some(byte) => !step.check.accepts(*byte) && !step.may_vanish(),
            None => false,
        };
        if !(is_found || (step.check.length().is_some() && !step.before.is_empty())) {
            break;
        }
        last -= 1;
    }
    steps.iter_mut().take(last).skip(first).for_each(|step| step.is_certain = false);
}

/// True when what `steps` write, behind a value that is not there, may begin with `byte`. Behind a space theirs is left out.
fn may_begin(steps: &[Step], tail: &[u8], byte: u8, is_behind_space: bool) -> bool {
    let begins = |text: &[u8]| {
        let text = text.strip_prefix(b" ").filter(|_| is_behind_space).unwrap_or(text);
        text.first().map(|first| *first == byte)
    };
    for step in steps {
        if let Some(begins) = begins(&step.before) {
            return begins;
        }
        let is_held = match step.grammar {
            _ if step.encoding != Encoding::None => false,
            Grammar::Captures => matches!(byte, b'{' | b'"'),
            _ => step.check.accepts(byte),
        };
        if is_held || !step.may_vanish() {
            return is_held;
        }
    }
    begins(tail).unwrap_or(false)
}

/// True when captures, of which none may be declared, are followed by what may begin as they do.
fn is_brace_shared(step: &Step, after: &[u8], next: Option<&Step>) -> bool {
    let may_begin = |next: &Step| match next.grammar {
        Grammar::Captures => next.encoding != Encoding::Cbor,
        // No method begins so, and lists escape braces.
        Grammar::Request | Grammar::Method | Grammar::Version | Grammar::Query | Grammar::CaptureList => false,
        _ => next.encoding != Encoding::Cbor && next.check.accepts(b'{'),
    };
    step.end == Some(End::Captures)
        && match after.strip_prefix(b" ").unwrap_or(after) {
            [] | [b'"'] => next.is_some_and(may_begin),
            text => matches!(text, [b'{', ..] | [b'"', b'{', ..]),
        }
}

/// True when a value may hold what follows it, but is taken to end there at once: another one before it takes the rest.
fn is_taken_short(step: &Step, after: &[u8]) -> bool {
    matches!((&step.end, after.first()), (Some(End::Byte(byte)), Some(first)) if byte == first && step.check.held().has(*byte))
}

/// Says which values cannot be found for sure, and why.
pub(super) fn doubts(steps: &[Step], values: &[Value<'_>]) -> Option<Note> {
    let first = steps.iter().position(|step| !step.is_certain)?;
    let fields = steps.iter().filter(|step| !step.is_certain).map(|step| &*step.field).collect::<Vec<_>>();
    let (step, column) = (steps.get(first)?, values.get(first).map_or(0, Value::column));
    // A quote in a quoted text or a blank in a cookie is no accident.
    let after = steps.get(first + 1).map_or(&[][..], |next| &next.before);
    let is_free = matches!(
        step.grammar,
        Grammar::Text | Grammar::Word | Grammar::Request | Grammar::Uri | Grammar::Path | Grammar::CaptureList
    );
    let is_lossy = (is_free && !after.contains(&b'"')) || step.runs_on;
    let message = match fields.as_slice() {
        [one, others @ ..] if step.end == Some(End::Captures) => {
            let others = if others.is_empty() { "what follows".to_owned() } else { others.join(", ") };
            format!(
                "{one} may be left out, and what follows begin with a brace: then it is taken for {one}, {others} are misread"
            )
        }
        [one] => format!("{one} can hold the text that follows it: where it ends is a guess"),
        [one, others @ ..] => {
            format!("{one} can hold the text that follows it: when it does, {one}, {} are misread", others.join(", "))
        }
        [] => return None,
    };
    Some(Note { column, is_lossy, message })
}
