//! `tidegate doctor`: what an installation needs, looked at one after the other, each with a remedy. Changes nothing.
//!
//! Owns the list of looks and what each means for the exit code. What one look finds never stops the next.

use std::{net::TcpListener, path::PathBuf, time::Duration};

use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use super::{App, Done, exit::Exit, failure::Failure, migrate, print, print::Output, safety};
use crate::{
    domain::status::ConnectionStatus,
    settings::{Engine, NarrowUser, SettingsErrors, VaultKey},
    store::SharedStore,
    telemetry::LogFormat,
};

/// Clocks that are further apart are told; nothing breaks by it, since leases are measured by the database's clock alone.
const CLOCK_APART: Duration = Duration::from_secs(5);

/// How one look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub level: Level,
    pub detail: String,
    /// What to do; always there when it is not [`Level::Ok`].
    pub remedy: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

fn ok(check: &'static str, detail: impl Into<String>) -> Finding {
    Finding { check, level: Level::Ok, detail: detail.into(), remedy: None, exit: Exit::Done }
}

fn warn(check: &'static str, detail: impl Into<String>, remedy: &str) -> Finding {
    Finding { check, level: Level::Warn, detail: detail.into(), remedy: Some(remedy.to_owned()), exit: Exit::Done }
}

fn fail(check: &'static str, exit: Exit, detail: impl Into<String>, remedy: &str) -> Finding {
    Finding { check, level: Level::Fail, detail: detail.into(), remedy: Some(remedy.to_owned()), exit }
}

fn failed(check: &'static str, failure: Failure) -> Finding {
    let remedy = failure.remedy.unwrap_or_else(|| "see the message".to_owned());
    fail(check, failure.exit, failure.message, &remedy)
}

/// Does `doctor`. Exit code 0 when nothing fails (warnings are told), else 2 for settings and connectors, 6 for safety, 75 when
/// the database does not answer; the one that needs a person sooner where there are several.
///
/// # Errors
/// Standard output cannot be written to.
pub async fn run(app: &App, out: Output) -> Done {
    let environment = &app.settings.environment;
    let mut findings = vec![ok("settings", format!("valid, environment {environment}"))];
    database(app, &mut findings).await;
    connectors(app, &mut findings);
    findings.extend([network(app), certificates(app), listener(app), key(app), log(app)]);
    report(app, out, &findings)
}

/// As [`run`], when the settings themselves are wrong: nothing else can be looked at.
///
/// # Errors
/// As [`run`].
pub fn without_settings(app: &App, wrong: &SettingsErrors, out: Output) -> Done {
    let remedy = super::SETTINGS_REMEDY;
    let findings: Vec<_> =
        wrong.0.iter().map(|problem| fail("settings", Exit::Usage, problem.to_string(), remedy)).collect();
    report(app, out, &findings)
}

fn report(app: &App, out: Output, findings: &[Finding]) -> Done {
    let exit = findings.iter().fold(Exit::Done, |exit, finding| exit.worse(finding.exit));
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let document = json!({
        "healthy": exit == Exit::Done, "warnings": count(Level::Warn), "failures": count(Level::Fail), "checks": findings,
    });
    app.show(out, &document, |view| print::doctor::findings(view, findings))?;
    Ok(exit)
}

async fn database(app: &App, findings: &mut Vec<Finding>) {
    // Opening would make the file, and a look changes nothing.
    if app.settings.database.engine == Engine::Sqlite && sqlite_file(app).is_some_and(|file| !file.exists()) {
        let remedy = "tidegate migrate makes it";
        return findings.push(fail(
            "database",
            Exit::Usage,
            "the SQLite file of database.url is not there yet",
            remedy,
        ));
    }
    let store = match app.open_store().await {
        Ok(store) => store,
        Err(error) => return findings.push(failed("database", error.into())),
    };
    match store.server_version().await {
        Ok(version) => findings.push(ok("database", version)),
        Err(error) => return findings.push(failed("database", error.into())),
    }
    let current = match store.schema_state().await {
        Ok(state) => match migrate::refusal(&state) {
            None => {
                findings.push(ok("schema", "up to date"));
                true
            }
            Some(refusal) => {
                findings.push(failed("schema", refusal));
                false
            }
        },
        Err(error) => {
            findings.push(failed("schema", error.into()));
            false
        }
    };
    findings.push(clock(app, &store).await);
    // Who may do what, and who waits, is asked of tables.
    if current {
        rights(app, &store, findings).await;
        findings.push(connections(&store).await);
    }
    store.close().await;
}

/// The file of `sqlite://PATH?options`.
fn sqlite_file(app: &App) -> Option<PathBuf> {
    let url = app.settings.database.url.expose_secret();
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

async fn clock(app: &App, store: &SharedStore) -> Finding {
    let there = match store.server_time().await {
        Ok(there) => there,
        Err(error) => return failed("clock", error.into()),
    };
    let here = app.now();
    let apart = here.since(there).max(there.since(here));
    let detail = format!("{} ms between the database and this host", apart.as_millis());
    if apart > CLOCK_APART {
        return warn("clock", detail, "set both by NTP; schedules follow the host, leases the database");
    }
    ok("clock", detail)
}

async fn rights(app: &App, store: &SharedStore, findings: &mut Vec<Finding>) {
    let required = match safety::narrow_user_required(app, store).await {
        Ok(required) => required,
        Err(failure) => return findings.push(failed("rights", failure)),
    };
    match store.rights().await {
        Ok(None) => findings.push(ok("rights", "SQLite has no users; keep its file to the user that runs tidegate")),
        Ok(Some(rights)) if rights == Default::default() => {
            findings.push(ok("rights", "the database user is narrow; CREATE is denied"));
        }
        Ok(Some(rights)) => {
            if !rights.excess.is_empty() {
                let what = safety::too_much(&rights);
                findings.push(if required {
                    fail("rights", Exit::Unsafe, what, safety::REMEDY)
                } else {
                    warn("rights", what, safety::REMEDY)
                });
            }
            if !rights.missing.is_empty() {
                findings.push(fail("rights", Exit::Usage, safety::too_little(&rights), safety::REMEDY));
            }
        }
        Err(error) => {
            let failure = Failure::from(error);
            let exit = if required { Exit::Unsafe } else { failure.exit };
            findings.push(fail("rights", exit, failure.message, safety::REMEDY));
        }
    }
    if app.settings.database.require_narrow_user == NarrowUser::No {
        findings.push(warn(
            "rights",
            "database.require_narrow_user is no: a wide user is never refused",
            "leave it out: auto refuses one once a connection is production",
        ));
    }
}

async fn connections(store: &SharedStore) -> Finding {
    let connections = match store.connections().await {
        Ok(connections) => connections,
        Err(error) => return failed("connections", error.into()),
    };
    let waiting: Vec<&str> = connections
        .iter()
        .filter(|connection| connection.status == ConnectionStatus::NeedsAuth)
        .map(|connection| connection.spec.connection_key.as_str())
        .collect();
    if waiting.is_empty() {
        return ok("connections", format!("{} declared, none waits for a credential", connections.len()));
    }
    let detail = format!("{} wait for a new credential: {}", waiting.len(), waiting.join(", "));
    warn("connections", detail, "renew it, then: tidegate connection check KEY; tidegate connection resume KEY")
}

fn connectors(app: &App, findings: &mut Vec<Finding>) {
    let (catalogue, problems) = app.load_catalogue();
    findings.extend(problems.iter().map(|problem| {
        fail("connectors", Exit::Usage, problem.to_string(), "tidegate validate tells all problems of a folder at once")
    }));
    if problems.is_empty() {
        let keys: Vec<&str> = catalogue.folders().map(|folder| folder.provider_key.as_str()).collect();
        findings.push(ok("connectors", format!("{} load: {}", keys.len(), keys.join(", "))));
    }
    let open = catalogue.folders().filter(|folder| folder.webhook.as_ref().is_some_and(|webhook| webhook.is_open()));
    findings.extend(open.map(|folder| {
        let detail = format!("WEBHOOKS OF {} ARE NOT SIGNED: whoever knows a path may deliver", folder.provider_key);
        warn("webhooks", detail, "use the scheme that the provider offers, or token, in its webhook.yaml")
    }));
}

fn network(app: &App) -> Finding {
    let allowed = &app.settings.http.allow_private;
    if allowed.is_empty() {
        return ok(
            "network",
            "https to public addresses only (http.allow_private names others, e.g. TIDEGATE_HTTP__ALLOW_PRIVATE=127.0.0.0/8)",
        );
    }
    let list = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let detail = format!("PRIVATE NETWORKS MAY BE CALLED, also without TLS: {list}");
    let remedy = "empty http.allow_private; it is for a simulator and for tests";
    if app.settings.environment == "production" {
        fail("network", Exit::Unsafe, detail, remedy)
    } else {
        warn("network", detail, remedy)
    }
}

fn certificates(app: &App) -> Finding {
    match app.speaks_tls() {
        Ok(true) => ok("certificates", "CA certificates are here"),
        Ok(false) => warn(
            "certificates",
            "no CA certificates: every https address will be refused",
            "install them (Debian: ca-certificates) or name a bundle in SSL_CERT_FILE",
        ),
        Err(text) => fail("certificates", Exit::Usage, text, "mend the [http] section of the settings"),
    }
}

fn listener(app: &App) -> Finding {
    let Some(address) = app.settings.server.listen else {
        return ok("listener", "none (server.listen is empty)");
    };
    match TcpListener::bind(address) {
        Ok(_) if !address.ip().is_loopback() => {
            let remedy = "listen on 127.0.0.1 behind a proxy that speaks TLS";
            warn("listener", format!("{address} is free, and open to other machines without TLS"), remedy)
        }
        Ok(_) => ok("listener", format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => warn(
            "listener",
            format!("{address} is taken"),
            "fine when `tidegate run` is running; else change server.listen",
        ),
        Err(error) => fail("listener", Exit::Usage, format!("{address}: {error}"), "change server.listen"),
    }
}

fn key(app: &App) -> Finding {
    let path = match &app.settings.vault.current {
        None => return ok("key", "none (no key is named under [vault])"),
        Some(VaultKey::File(path)) => path,
        Some(VaultKey::SystemdCredential(name)) => {
            return match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(dir) if std::path::Path::new(&dir).join(name).is_file() => {
                    ok("key", "the systemd credential is here")
                }
                Some(_) | None => warn(
                    "key",
                    format!("the systemd credential {name} is not here; only the service has it"),
                    "ask from within the unit, or name vault.key_file",
                ),
            };
        }
        Some(VaultKey::Transit { .. }) => return ok("key", "a transit service; it is asked when a credential is used"),
    };
    let remedy = "name a file that only the user that runs tidegate can read: chmod 400";
    match std::fs::metadata(path) {
        Err(error) => fail("key", Exit::Unsafe, format!("vault.key_file cannot be read: {error}"), remedy),
        Ok(facts) if !facts.is_file() => fail("key", Exit::Unsafe, "vault.key_file is not a file", remedy),
        Ok(facts) if others_may_read(&facts) => {
            fail("key", Exit::Unsafe, "vault.key_file can be read by others", remedy)
        }
        Ok(_) => ok("key", "the key file is here, and private"),
    }
}

#[cfg(unix)]
fn others_may_read(facts: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    facts.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_may_read(_: &std::fs::Metadata) -> bool {
    false
}

fn log(app: &App) -> Finding {
    let log = &app.settings.log;
    let form = match log.format {
        LogFormat::Auto => "auto (text at a terminal, else JSON)",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let detail = format!("format {form}, level {}", log.level);
    if app.settings.environment == "production" && (log.level.contains("debug") || log.level.contains("trace")) {
        return warn("log", detail, "info is enough in production; debug is for looking into something");
    }
    ok("log", detail)
}
