//! References to secrets that Tidegate does not keep itself: `env:NAME` and `file:PATH`, read when a secret is used.
//!
//! Refuses to keep a secret in memory longer than one use, and to name a value in an error: only the reference is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use secrecy::{SecretString, zeroize::Zeroizing};
use tokio::io::AsyncReadExt;

use crate::connector::{ConnectorError, ErrorKind, credential::CredentialSource};

/// A larger file is no secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The source behind a connection's `credential` reference; none is for providers that need no secret.
///
/// # Errors
/// [`ErrorKind::Settings`] when the reference has no form that this version knows.
pub fn resolve(reference: Option<&str>) -> Result<Arc<dyn CredentialSource>, ConnectorError> {
    let Some(reference) = reference.map(str::trim).filter(|reference| !reference.is_empty()) else {
        return Ok(Arc::new(NoSecret));
    };
    let settings = |message: String| Err(ConnectorError::new(ErrorKind::Settings, message));
    match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
            Ok(Arc::new(FromEnv(name.to_owned())))
        }
        Some(("file", path)) if !path.is_empty() => {
            Ok(Arc::new(FromFile { path: path.to_owned(), warned: AtomicBool::new(false) }))
        }
        Some(("vault", key)) => {
            settings(format!("credential vault:{key} cannot be used here; use env:NAME or file:PATH"))
        }
        // What stands there may be the secret itself: it is not repeated.
        _ => settings(
            "the credential is not a reference; use vault:KEY, env:NAME or file:PATH, never the secret itself"
                .to_owned(),
        ),
    }
}

fn missing(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Unauthorized, message)
}

/// Trims and refuses emptiness.
fn secret(text: &str, reference: &str) -> Result<Option<SecretString>, ConnectorError> {
    let text = text.trim();
    if text.is_empty() {
        Err(missing(format!("the credential {reference} is empty")))
    } else {
        Ok(Some(SecretString::from(text)))
    }
}

struct NoSecret;

#[async_trait]
impl CredentialSource for NoSecret {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        Ok(None)
    }
}

struct FromEnv(String);

#[async_trait]
impl CredentialSource for FromEnv {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        let name = &self.0;
        let value = std::env::var(name).map(Zeroizing::new).map_err(|error| match error {
            std::env::VarError::NotPresent => missing(format!("the credential env:{name} is not set")),
            // The cause would show the value.
            std::env::VarError::NotUnicode(_) => missing(format!("the credential env:{name} is not text")),
        })?;
        secret(&value, &format!("env:{name}"))
    }
}

struct FromFile {
    path: String,
    /// The warning about the file's rights was given.
    warned: AtomicBool,
}

#[async_trait]
impl CredentialSource for FromFile {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        let reference = format!("file:{}", self.path);
        let unreadable =
            |error: std::io::Error| missing(format!("the credential {reference} cannot be read")).caused_by(error);
        let facts = tokio::fs::metadata(&self.path).await.map_err(unreadable)?;
        // Only a file: a pipe would be waited for, without end.
        if !facts.is_file() {
            return Err(missing(format!("the credential {reference} is not a file")));
        }
        self.warn_of_rights(&facts);
        let file = tokio::fs::File::open(&self.path).await.map_err(unreadable)?;
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).await.map_err(unreadable)?;
        if text.len() as u64 > MAX_SECRET_BYTES {
            return Err(missing(format!("the credential {reference} is larger than {MAX_SECRET_BYTES} bytes")));
        }
        secret(&text, &reference)
    }
}

impl FromFile {
    #[cfg(unix)]
    fn warn_of_rights(&self, facts: &std::fs::Metadata) {
        use std::os::unix::fs::PermissionsExt;
        if facts.permissions().mode() & 0o004 != 0 && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(credential.path = %self.path, "the credential file {} can be read by everybody; chmod 600 it", self.path);
        }
    }

    #[cfg(not(unix))]
    fn warn_of_rights(&self, _: &std::fs::Metadata) {
        self.warned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    async fn read(reference: &str) -> Result<String, ConnectorError> {
        let found = resolve(Some(reference))?.read().await?;
        Ok(found.expect("a secret").expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_file_is_read_anew_at_each_use_and_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let source = resolve(Some(&format!("file:{}", path.display()))).unwrap();
        assert_eq!(source.read().await.unwrap().unwrap().expose_secret(), "one");
        std::fs::write(&path, " two \n").unwrap();
        assert_eq!(source.refresh().await.unwrap().unwrap().expose_secret(), "two");
    }

    #[tokio::test]
    async fn the_environment_is_read_and_nothing_is_no_secret() {
        assert_eq!(read("env:CARGO_MANIFEST_DIR").await.unwrap(), env!("CARGO_MANIFEST_DIR"));
        for none in [None, Some(""), Some("  ")] {
            assert!(resolve(none).unwrap().read().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_reference_that_leads_nowhere_is_named_and_a_value_never() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            std::fs::write(dir.path().join(name), content).unwrap();
            format!("file:{}", dir.path().join(name).display())
        };
        for (reference, kind) in [
            ("env:TIDEGATE_NO_SUCH_VARIABLE".to_owned(), ErrorKind::Unauthorized),
            (format!("file:{}", dir.path().join("gone").display()), ErrorKind::Unauthorized),
            (format!("file:{}", dir.path().display()), ErrorKind::Unauthorized),
            (file("empty", b" \n"), ErrorKind::Unauthorized),
            (file("large", "hush".repeat(20_000).as_bytes()), ErrorKind::Unauthorized),
            (file("binary", b"hush\xff"), ErrorKind::Unauthorized),
            ("vault:acme".to_owned(), ErrorKind::Settings),
            ("env:".to_owned(), ErrorKind::Settings),
            ("pat-na1-hush".to_owned(), ErrorKind::Settings),
            ("hush:hush".to_owned(), ErrorKind::Settings),
        ] {
            let error = read(&reference).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
        assert!(read("vault:acme").await.unwrap_err().message.contains("cannot be used here"));
    }
}
