//! Logs: set-up, names of fields, causes, and the net that keeps secrets out.
//!
//! Owns how a line looks. Lines go to standard error, one event each: text for people at a terminal, JSON for programs.
//! Every line passes [`redact::scrub`]; that is the last net, not the rule: nobody logs a payload or a secret on purpose.

pub mod recorder;
pub mod redact;

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal, Write},
};

use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Names of span and event fields, so that a search for one finds all.
pub mod field {
    pub const RUN: &str = "run";
    pub const CONNECTION: &str = "connection";
    pub const STREAM: &str = "stream";
    pub const JOB: &str = "job";
    pub const CLIENT: &str = "client";
    pub const PAGE: &str = "page";
    pub const ERROR: &str = "error";
    pub const REMEDY: &str = "remedy";

    /// All names that a line may have. Each holds a key, a number, a word of ours, or a text that passed the net; a test holds
    /// the source against this list, so a new one is a decision.
    pub const ALLOWED: &[&str] = &[
        RUN,
        CONNECTION,
        STREAM,
        JOB,
        CLIENT,
        PAGE,
        ERROR,
        REMEDY,
        // How a run ended.
        "status",
        "code",
        "pages",
        "seen",
        "created",
        "updated",
        "unchanged",
        "duplicate",
        "ignored",
        "failed",
        "took_ms",
        "failures",
        "abandoned",
        "released",
        "provider",
        // Alerts, and what was published or held.
        "rule",
        "subject",
        "again_at",
        // A role or a person of ours, scrubbed as any text is.
        "owner",
        "since",
        "runbook",
        "runs_until",
        "metric",
        "reasons",
        // The process itself.
        "worker",
        "workers",
        "engine",
        "version",
        "signal",
        "cause",
        "address",
        // The key or reference of a credential, never what it leads to, and what became of it.
        "credential",
        "reason",
        "rounds",
        "credential.path",
    ];
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text when standard error is a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

impl LogFormat {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level is not a level or a list of directives such as info,tidegate=debug")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    #[error("logging was already set up in this process")]
    Already(#[source] tracing_subscriber::util::TryInitError),
}

/// Whether a text can be a level: `info`, or directives such as `info,tidegate=debug`.
pub fn is_level(text: &str) -> bool {
    // A bare word that is no level would be taken for the name of a target, and everything else would fall silent.
    let known = text.split(',').all(|part| part.contains(['=', '[']) || part.trim().parse::<LevelFilter>().is_ok());
    !text.trim().is_empty() && known && EnvFilter::builder().parse(text).is_ok()
}

/// Sends events to standard error from now on. Spans' fields (`run`, `connection`, `stream`) stand on each of their lines.
///
/// # Errors
/// [`TelemetryError`]: a level that is none, or a second call.
pub fn init(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let json = match format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let colour = !json && io::stderr().is_terminal();
    subscriber(json, colour, level, Stderr)
        .map_err(TelemetryError::Level)?
        .try_init()
        .map_err(TelemetryError::Already)?;
    std::panic::set_hook(Box::new(
        |panic| tracing::error!(error = %panicked(panic.payload(), panic.location()), "panic"),
    ));
    Ok(())
}

/// A panic as it may be told: its message may quote whatever the code was working on, so it passes the net and is kept short.
fn panicked(payload: &dyn std::any::Any, location: Option<&std::panic::Location<'_>>) -> String {
    const SHOWN: usize = 200;
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message");
    let place = location.map_or_else(String::new, |at| format!("{}:{}: ", at.file(), at.line()));
    format!("{place}{}", redact::scrub(text).chars().take(SHOWN).collect::<String>())
}

/// Whether an event may be told at all, whatever the level: what others trace of requests, statements and handshakes is theirs
/// to format, so nothing of it is told but warnings.
fn is_told(metadata: &tracing::Metadata<'_>) -> bool {
    let ours = metadata.target() == "tidegate" || metadata.target().starts_with("tidegate::");
    ours || *metadata.level() <= tracing::Level::WARN
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(
    json: bool,
    colour: bool,
    level: &str,
    writer: W,
) -> Result<Subscriber, tracing_subscriber::filter::ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(level)?;
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(is_told));
    let writer = Scrubbed(writer);
    Ok(if json {
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
        Box::new(registry.with(lines.with_writer(writer)))
    } else {
        let lines = tracing_subscriber::fmt::layer().with_ansi(colour).with_target(false);
        Box::new(registry.with(lines.with_writer(writer)))
    })
}

struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = io::Stderr;

    fn make_writer(&'a self) -> io::Stderr {
        io::stderr()
    }
}

/// Takes secrets out of each line on its way to the inner writer.
struct Scrubbed<W>(W);

struct ScrubbedLine<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Scrubbed<W> {
    type Writer = ScrubbedLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        ScrubbedLine(self.0.make_writer())
    }
}

impl<W: Write> Write for ScrubbedLine<W> {
    /// The subscriber hands over a whole line at once, so nothing can hide across two writes.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(redact::scrub(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An error with all its causes, each text once, for `error = %chain(&error)`.
pub fn chain<'e>(error: &'e (dyn Error + 'static)) -> Chain<'e> {
    Chain(error)
}

/// See [`chain`].
#[derive(Debug, Clone, Copy)]
pub struct Chain<'e>(&'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&redact::scrub(&told))?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Errors of others often repeat their cause in their own text.
            if !told.contains(&text) {
                write!(f, ": {}", redact::scrub(&text))?;
                told = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(json: bool) -> String {
        let memory = Memory::default();
        let sink = memory.clone();
        let subscriber = subscriber(json, false, "info", move || sink.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("run", run = 7, connection = "acme-hubspot", stream = "contacts");
            let _inside = span.enter();
            tracing::info!(page = 2, "asked https://api.example.test/x?token=abcdef for ada@example.test");
            tracing::debug!("not told");
        });
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn every_line_names_run_connection_and_stream_and_passes_the_net() {
        for json in [false, true] {
            let told = lines(json);
            assert_eq!(told.lines().count(), 1, "{told}");
            for part in ["run", "7", "acme-hubspot", "contacts", "page"] {
                assert!(told.contains(part), "{part} in {told}");
            }
            for secret in ["abcdef", "ada@"] {
                assert!(!told.contains(secret), "{secret} in {told}");
            }
        }
        let line: serde_json::Value = serde_json::from_str(&lines(true)).unwrap();
        assert_eq!(line["spans"][0]["stream"], "contacts");
        assert_eq!(line["page"], 2);
    }

    #[test]
    fn a_chain_tells_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Step(String, #[source] Option<Box<Step>>);
        let root = Step("no route to mysql://u:hunter2@db/x".to_owned(), None);
        let middle = Step(format!("connecting: {root}"), Some(Box::new(root)));
        let top = Step("page was not stored".to_owned(), Some(Box::new(middle)));
        let told = chain(&top).to_string();
        assert_eq!(told, "page was not stored: connecting: no route to mysql://u:[removed]@db/x");
    }

    #[test]
    fn p18_what_others_trace_of_their_work_is_not_told_at_any_level() {
        let memory = Memory::default();
        let sink = memory.clone();
        let subscriber = subscriber(false, false, "trace,h2=trace", move || sink.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "h2::codec", "send frame=Headers hush");
            tracing::trace!(target: "hyper_util::client", "hush");
            tracing::info!(target: "tidegate_like", "hush");
            tracing::warn!(target: "rustls", "a warning");
            tracing::trace!("ours");
        });
        let told = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(!told.contains("hush") && told.contains("a warning") && told.contains("ours"), "{told}");
    }

    #[test]
    fn p18_a_panic_passes_the_net() {
        let payload: Box<dyn std::any::Any + Send> =
            Box::new("no row for ada@example.test with token=abcdefgh".to_owned());
        let told = panicked(payload.as_ref(), Some(std::panic::Location::caller()));
        assert!(
            told.contains("telemetry/mod.rs:") && told.contains("no row for [removed] with token=[removed]"),
            "{told}"
        );
        assert!(panicked(&7_i32, None).contains("without a message"));
    }

    #[test]
    fn levels_are_checked() {
        assert!(is_level("info") && is_level("warn,tidegate::store=trace"));
        assert!(!is_level("") && !is_level("loud=very=much") && !is_level("loud") && !is_level("info,loud"));
    }
}
