//! Escapes logs: whatever a message or a field contains, it is one line, and control characters are visible.

use std::io::{self, Write};

use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;

use sandman_core::printable;

/// The most bytes of a message or a field. Text of guests and senders has lower limits where it comes in.
const FIELD: usize = 64 << 10;

/// Formats messages and fields as text.
pub(super) fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(|writer, field, value| {
        let text = format!("{value:?}");
        let text = printable::line(&text, FIELD);
        match field.name() {
            "message" => write!(writer, "{text}"),
            name => write!(writer, "{}={text}", name.trim_start_matches("r#")),
        }
    })
    .delimited(" ")
}

/// The writer for lines of JSON, which escapes what JSON itself does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainJson;

impl<'a> MakeWriter<'a> for PlainJson {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for PlainJson {
    /// The library writes one line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => io::stderr().write_all(printable::json(text).as_bytes())?,
            Err(_) => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_the_log_is_one_line_whatever_is_in_it() {
        let written = Written::default();
        let out = written.clone();
        let logs = tracing_subscriber::fmt()
            .with_writer(move || out.clone())
            .with_ansi(false)
            .fmt_fields(fields())
            .finish();
        tracing::subscriber::with_default(logs, || {
            let (error, reason) = ("gone\nERROR forged", "a\u{202e}b");
            tracing::warn!(%error, reason, n = 7, r#type = true, "it was {}", "\u{1b}[2J\rhere");
            tracing::info!(text = "y".repeat(FIELD * 2), "long");
        });
        let bytes = written.0.lock().clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        let wanted = "it was \\u{1b}[2J\\rhere error=gone\\nERROR forged reason=\"a\\u{202e}b\" n=7 type=true";
        assert!(lines[0].ends_with(wanted), "{}", lines[0]);
        assert!(lines.iter().all(|line| printable::is_plain(line)), "{text}");
        assert!(text.len() < FIELD + 1_000, "{} bytes", text.len());
    }
}
