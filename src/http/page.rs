//! The status page: what an operator wants to see of the sources at a glance. Complete in itself: no scripts,
//! no assets, its style sheet inline and pinned by its hash.

mod series;

use std::fmt::{self, Display, Write};

use super::{EndingStatus, SourceStatus};
use crate::metrics::Cardinality;

/// Endings that are shown, at most.
const ENDINGS: usize = 10;

const STYLE: &str = include_str!("page.css");

/// Nothing may be loaded and only [`STYLE`] applies: its hash stands here. A test computes it anew.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-7x+Mv7wuSAY1rue/ZfY17H2YVDQ56AgCDbJwQVLXLP0='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The whole page. Its links are relative: a reverse proxy may serve it under a path of its own.
pub(super) fn render(
    sources: &[SourceStatus],
    endings: &[EndingStatus],
    cardinality: &Cardinality,
    is_ready: bool,
) -> String {
    let mut html = String::with_capacity(STYLE.len() + 4096 + sources.len() * 512);
    // Writing to a String cannot fail.
    let _ = write_page(&mut html, sources, endings, cardinality, is_ready);
    html
}

fn write_page(
    html: &mut String,
    sources: &[SourceStatus],
    endings: &[EndingStatus],
    cardinality: &Cardinality,
    is_ready: bool,
) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    let state = if is_ready {
        "Every source has been looked at."
    } else {
        "Starting: some sources have not been looked at yet."
    };
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>tailmeter</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>tailmeter <small>{version}</small></h1>\n\
         <p>Turns HAProxy and mail-server logs into Prometheus metrics. {state}</p>\n\
         <nav><a href=\"metrics\">Metrics</a> <a href=\"api/cardinality\">Series</a> <a href=\"-/healthy\">Health</a> \
         <a href=\"-/ready\">Readiness</a></nav>\n</header>\n<main>\n<h2>Sources</h2>\n"
    )?;
    if sources.is_empty() {
        html.push_str("<p>No source is configured, or none has been found yet.</p>\n");
    } else {
        write_sources(html, sources)?;
    }
    if !endings.is_empty() {
        write_endings(html, endings)?;
    }
    if !cardinality.metrics.is_empty() {
        series::write(html, cardinality)?;
    }
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn write_sources(html: &mut String, sources: &[SourceStatus]) -> fmt::Result {
    html.push_str(
        "<div class=\"table\">\n<table>\n<thead><tr><th scope=\"col\">Source</th><th scope=\"col\">State</th>\
         <th scope=\"col\">Format</th><th scope=\"col\" class=\"n\">Read</th>\
         <th scope=\"col\" class=\"n\">Unread</th><th scope=\"col\" class=\"n\">Parsed</th>\
         <th scope=\"col\" class=\"n\">Ignored</th><th scope=\"col\" class=\"n\">Rejected</th></tr></thead>\n<tbody>\n",
    );
    for source in sources {
        let state = if source.up { "up" } else { "down" };
        let [parsed, ignored, rejected] = source.lines;
        let some = if rejected == 0 { "" } else { " some" };
        writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td><span class=\"state {state}\">{state}</span></td><td>{}</td>{}{}\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n{some}\">{}</td></tr>",
            Escaped(&source.name),
            Escaped(source.format),
            BytesCell(source.read_bytes),
            BytesCell(source.lag_bytes),
            Grouped(parsed),
            Grouped(ignored),
            Grouped(rejected),
        )?;
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}

/// The commonest endings.
fn write_endings(html: &mut String, endings: &[EndingStatus]) -> fmt::Result {
    html.push_str(
        "<h2>Abnormal ends</h2>\n<div class=\"table\">\n<table>\n<thead><tr><th scope=\"col\">State</th>\
         <th scope=\"col\" class=\"n\">Times</th><th scope=\"col\">Ended</th></tr></thead>\n<tbody>\n",
    );
    for ending in endings.iter().take(ENDINGS) {
        write!(html, "<tr><td><code>{}</code></td><td class=\"n\">", Escaped(&ending.state))?;
        write!(html, "{}</td><td class=\"w\">", Grouped(ending.count))?;
        for (index, part) in ending.meaning.split('`').enumerate() {
            match index % 2 {
                0 => write!(html, "{}", Escaped(part))?,
                _ => write!(html, "<code>{}</code>", Escaped(part))?,
            }
        }
        html.push_str("</td></tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}

/// Text for HTML content and quoted attributes. Control characters become visible instead of vanishing, since
/// a file name may hold any; so do the characters that turn the direction of writing, which could make one name
/// look like another.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "{}", c.escape_unicode())?;
                }
                _ if c.is_control() => write!(f, "{}", c.escape_default())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A table cell with a size to three digits, and the exact one on hover.
struct BytesCell(u64);

impl Display for BytesCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
        write!(f, "<td class=\"n\" title=\"{} bytes\">", Grouped(self.0))?;
        let mut unit = 0;
        let mut scale = 1u64;
        while unit + 1 < UNITS.len() && self.0 / scale >= 1000 {
            scale *= 1000;
            unit += 1;
        }
        let name = UNITS[unit];
        let whole = self.0 / scale;
        if unit == 0 || whole >= 100 {
            write!(f, "{whole} {name}</td>")
        } else {
            // Cut, not rounded: 9.99 must not become 10.0, nor 999.9 kB become 1000 kB.
            write!(f, "{whole}.{} {name}</td>", self.0 % scale / (scale / 10))
        }
    }
}

/// A number with its thousands set apart by narrow spaces that do not break.
struct Grouped(u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_char('\u{202f}')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_two_or_three_digits() {
        let shown = |bytes| {
            let cell = BytesCell(bytes).to_string();
            let text = cell.split('>').nth(1).unwrap();
            text.trim_end_matches("</td").to_owned()
        };
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_999, "99.9 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(shown(bytes), text);
        }
        assert_eq!(Grouped(1_234_567).to_string(), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn what_could_mislead_is_visible() {
        assert_eq!(Escaped("a\n\u{7}<b>&\"'\u{202e}").to_string(), "a\\n\\u{7}&lt;b&gt;&amp;&quot;&#39;\\u{202e}");
    }
}
