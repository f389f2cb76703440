//! The lines of the log. What comes from outside stands in their fields: each field is cut and has no control characters,
//! so that it can neither fill a disk nor move a terminal nor begin a line of its own.

use std::fmt;

use serde_json::Value as Json;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::domain::plain;

/// The longest value of a field, in characters.
const FIELD_MAX_CHARS: usize = 1_000;

/// Formats events, one line each.
pub(super) struct Lines(pub LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let target = fields.target.as_deref().unwrap_or_else(|| metadata.target());
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        match self.0 {
            LogFormat::Readable => {
                write_header(&mut writer, &time, *metadata.level(), target)?;
                fields.write_readable(&mut writer)
            }
            LogFormat::Json => writeln!(writer, "{}", plain::json(&fields.to_json(&time, *metadata.level(), target))),
        }
    }
}

fn write_header(writer: &mut Writer<'_>, time: &str, level: Level, target: &str) -> fmt::Result {
    if !writer.has_ansi_escapes() {
        return write!(writer, "{time} {level:>5} {target}:");
    }
    // Red, yellow, green, blue, purple.
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    write!(writer, "\u{1b}[2m{time}\u{1b}[0m \u{1b}[{colour}m{level:>5}\u{1b}[0m \u{1b}[2m{target}:\u{1b}[0m")
}

/// The fields of an event. The message is one of them.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Json)>,
    /// The target of a record of the crate `log`.
    target: Option<String>,
}

impl Fields {
    fn write_readable(&self, writer: &mut Writer<'_>) -> fmt::Result {
        if !self.message.is_empty() {
            write!(writer, " {}", plain::one_line(&self.message))?;
        }
        for (name, value) in &self.others {
            match value {
                // Quoted where a value could pass for further fields.
                Json::String(text) if text.contains([' ', '"', '=', '\n']) => {
                    write!(writer, " {name}={:?}", plain::one_line(text))?;
                }
                Json::String(text) => write!(writer, " {name}={}", plain::one_line(text))?,
                other => write!(writer, " {name}={other}")?,
            }
        }
        writeln!(writer)
    }

    fn to_json(&self, time: &str, level: Level, target: &str) -> String {
        let first =
            [("timestamp", time.into()), ("level", level.as_str().into()), ("message", self.message.as_str().into())];
        let last = [("target", target.into())];
        let fields = first.iter().chain(&self.others).chain(&last);
        let fields: Vec<String> = fields.map(|(name, value)| format!("{}:{value}", Json::from(*name))).collect();
        format!("{{{}}}", fields.join(","))
    }

    fn add(&mut self, field: &Field, value: Json) {
        match (field.name(), value) {
            ("message", Json::String(text)) => self.message = text,
            ("log.target", Json::String(target)) => self.target = Some(target),
            (name, _) if name.starts_with("log.") => {}
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = match value.char_indices().nth(FIELD_MAX_CHARS) {
            Some((at, _)) => format!("{}… ({} bytes)", &value[..at], value.len()),
            None => value.to_owned(),
        };
        self.add(field, text.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let written = Written::default();
        let log_to = tracing_subscriber::fmt().with_ansi(false).with_writer(written.clone());
        tracing::subscriber::with_default(log_to.event_format(Lines(format)).finish(), log);
        let bytes = written.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}2J\nINFO forged\u{2028}\u{202e}";

    fn log_hostile() {
        let long = "x".repeat(60_000);
        tracing::warn!(shown = %HOSTILE, debugged = ?HOSTILE, plain = HOSTILE, long, count = 3, "says {HOSTILE}");
    }

    #[test]
    fn a_readable_line_is_one_short_line_whatever_its_fields_hold() {
        let text = logged(LogFormat::Readable, log_hostile);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.trim_end().chars().all(plain::is_plain), "{text:?}");
        assert!(text.len() < 5_000 && text.contains("(60000 bytes)"), "{text}");
        assert!(text.contains("  WARN recado::telemetry::log::tests: says a"), "{text}");
        assert!(text.contains(" count=3"), "{text}");
    }

    #[test]
    fn a_json_line_keeps_the_values_and_escapes_what_moves_a_terminal() {
        let text = logged(LogFormat::Json, log_hostile);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.trim_end().chars().all(plain::is_plain) && text.len() < 5_000, "{text:?}");
        let line: Json = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["shown"], &line["plain"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert_eq!((&line["count"], &line["level"]), (&3.into(), &"WARN".into()));
        assert_eq!(line["message"], format!("says {HOSTILE}"));
        assert!(line["timestamp"].is_string() && line["target"].is_string());
    }
}
