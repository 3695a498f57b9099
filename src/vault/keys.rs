//! Key-encryption keys: the port, keys that this process holds itself, and where they are read from.
//!
//! Owns key files, the form of a key (32 bytes, as base64, hex or raw) and its fingerprint. Refuses a key file that anybody
//! but its owner can read, and to name a key in any other way than by its fingerprint.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use sha2::{Digest as _, Sha256};

use super::{
    VaultError,
    envelope::{DataKey, KEY_BYTES, NONCE_BYTES, decrypt, encrypt, random},
};

/// A larger file is no key.
const MAX_KEY_FILE: u64 = 4096;
const MAKE_ONE: &str =
    "give it back, or make a first one (tidegate credential key --out FILE) and name it in vault.key_file";

/// A key that wraps data keys. It may live in this process or in a service that never gives it away.
#[async_trait]
pub trait KeyEncryptionKey: Send + Sync {
    /// What stands in `key_id`: a fingerprint or a name, never the key.
    fn id(&self) -> &str;

    /// Wraps a data key, bound to `aad`.
    ///
    /// # Errors
    /// [`VaultError::Key`] or [`VaultError::Away`].
    async fn wrap(&self, key: &DataKey, aad: &[u8]) -> Result<String, VaultError>;

    /// Unwraps what [`KeyEncryptionKey::wrap`] gave for the same `aad`.
    ///
    /// # Errors
    /// [`VaultError::Closed`] when it was wrapped by another key or for another row; those of `wrap`.
    async fn unwrap(&self, wrapped: &str, aad: &[u8]) -> Result<DataKey, VaultError>;
}

/// Where a key comes from, as plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    /// The name of a systemd credential: a file in `$CREDENTIALS_DIRECTORY`.
    SystemdCredential(String),
    /// A HashiCorp-Vault-compatible transit service; the token is a reference (`env:NAME`, `file:PATH`).
    Transit {
        url: String,
        mount: String,
        key: String,
        token: String,
    },
}

/// A key in this process.
pub struct LocalKey {
    id: String,
    key: DataKey,
}

impl LocalKey {
    /// From a file that only its owner may read.
    ///
    /// # Errors
    /// [`VaultError::Key`], naming the file and what to do.
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        Self::read(path, &format!("the key file {}", path.display()), true)
    }

    /// From systemd's folder of credentials. Its rights are systemd's: where it uses ACLs, the mode shows more than there is.
    ///
    /// # Errors
    /// As [`LocalKey::from_file`].
    pub fn from_systemd(name: &str, directory: Option<&Path>) -> Result<Self, VaultError> {
        let Some(directory) = directory else {
            return Err(VaultError::key(
                format!("the systemd credential '{name}' is not there: CREDENTIALS_DIRECTORY is not set"),
                format!("start Tidegate as a service with LoadCredentialEncrypted={name}:PATH, or use vault.key_file"),
            ));
        };
        Self::read(&directory.join(name), &format!("the systemd credential '{name}'"), false)
    }

    fn read(path: &Path, what: &str, private: bool) -> Result<Self, VaultError> {
        let unreadable = |error: std::io::Error| {
            VaultError::key(format!("{what} cannot be read: {}", error.kind()), MAKE_ONE.to_owned())
        };
        // A pipe would be waited for without end; so the name is looked at before it is opened, and the open file after.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(VaultError::key(format!("{what} is not a file"), MAKE_ONE));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        if private {
            refuse_readable_by_others(&file, path, what)?;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_KEY_FILE).unwrap_or_default()));
        (&mut file).take(MAX_KEY_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
        let key = parse(&bytes).ok_or_else(|| {
            VaultError::key(format!("{what} holds no key: 32 bytes are expected, as base64, as hex or raw"), MAKE_ONE)
        })?;
        Ok(Self::new(key))
    }

    pub fn new(key: DataKey) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"tidegate key id 1");
        digest.update(key.as_slice());
        let print: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { id: format!("local:{print}"), key }
    }

    /// Writes a new random key into a new file of mode 0400; gives the key's id.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when the file is there already or cannot be made.
    pub fn generate(path: &Path) -> Result<String, VaultError> {
        let key: DataKey = random()?;
        let failed = |error: std::io::Error| {
            VaultError::refused(
                format!("the key file {} cannot be made: {}", path.display(), error.kind()),
                "name a file that is not there yet, in a folder that can be written to",
            )
        };
        let mut file = new_private_file(path).map_err(failed)?;
        let mut text = Zeroizing::new(STANDARD.encode(key.as_slice()));
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self::new(key).id)
    }
}

#[async_trait]
impl KeyEncryptionKey for LocalKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, key: &DataKey, aad: &[u8]) -> Result<String, VaultError> {
        let nonce = random::<NONCE_BYTES>()?;
        let wrapped = encrypt(&self.key, &nonce, key.as_slice(), aad)
            .ok_or_else(|| VaultError::key("a data key could not be wrapped", "report it"))?;
        Ok(STANDARD.encode([nonce.as_slice(), &wrapped].concat()))
    }

    async fn unwrap(&self, wrapped: &str, aad: &[u8]) -> Result<DataKey, VaultError> {
        let bytes = STANDARD.decode(wrapped).unwrap_or_default();
        let opened = bytes.split_at_checked(NONCE_BYTES).and_then(|(nonce, rest)| decrypt(&self.key, nonce, rest, aad));
        let key = opened.and_then(|opened| <[u8; KEY_BYTES]>::try_from(opened.as_slice()).ok());
        key.map(Zeroizing::new).ok_or_else(|| moved_or_changed(&self.id))
    }
}

/// What both kinds of key say of a wrapped key that is not theirs or not this row's.
pub(super) fn moved_or_changed(key_id: &str) -> VaultError {
    VaultError::closed(
        format!("a wrapped key does not open with {key_id}: it was changed, or belongs to another row"),
        "find out who wrote to integration_credentials, then store the secret again: tidegate credential set",
    )
}

fn parse(bytes: &[u8]) -> Option<DataKey> {
    if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes) {
        return Some(Zeroizing::new(raw));
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.len() == 2 * KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        return Some(key);
    }
    let mut decoded = STANDARD.decode(text).ok()?;
    let key = <[u8; KEY_BYTES]>::try_from(decoded.as_slice()).ok();
    decoded.zeroize();
    key.map(Zeroizing::new)
}

#[cfg(unix)]
fn refuse_readable_by_others(file: &File, path: &Path, what: &str) -> Result<(), VaultError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map_or(0o777, |facts| facts.permissions().mode());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(VaultError::key(
        format!("{what} can be read by others (mode {:04o}, 0400 is expected)", mode & 0o7777),
        format!("chmod 400 {}, and make a new key if somebody may have read it", path.display()),
    ))
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &File, _: &Path, _: &str) -> Result<(), VaultError> {
    Ok(())
}

#[cfg(unix)]
fn new_private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o400).open(path)
}

#[cfg(not(unix))]
fn new_private_file(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<LocalKey, VaultError>) -> String {
        match result {
            Err(error @ VaultError::Key { .. }) => format!("{error}; {}", error.remedy()),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("a key"),
        }
    }

    #[test]
    fn a_made_key_is_private_is_read_again_and_is_never_written_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let id = LocalKey::generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o400);
        assert_eq!(LocalKey::from_file(&path).map(|key| key.id).ok(), Some(id));
        assert!(LocalKey::generate(&path).is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
        let refused = refusal(LocalKey::from_file(&path));
        assert!(refused.contains("0440") && refused.contains("chmod 400"), "{refused}");
        // systemd's own folder shows the mask of its ACLs as the group's rights.
        assert!(LocalKey::from_systemd("kek", Some(dir.path())).is_ok());
    }

    #[test]
    fn each_form_of_a_key_is_the_same_key_and_others_are_refused_without_a_word_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let raw = [7_u8; KEY_BYTES];
        let hex = "07".repeat(KEY_BYTES);
        let forms: [&[u8]; 3] = [&raw, hex.as_bytes(), STANDARD.encode(raw).leak().as_bytes()];
        let read = |bytes: &[u8]| {
            std::fs::write(dir.path().join("k"), bytes).unwrap();
            LocalKey::from_systemd("k", Some(dir.path()))
        };
        for form in forms {
            assert_eq!(read(form).map(|key| key.id).ok(), Some(LocalKey::new(Zeroizing::new(raw)).id));
        }
        for wrong in [b"hush".as_slice(), b"", &[7; 31], "hush".repeat(2000).as_bytes()] {
            let refused = refusal(read(wrong));
            assert!(!refused.contains("hush") && refused.contains("credential key --out"), "{refused}");
        }
        assert!(refusal(LocalKey::from_systemd("gone", Some(dir.path()))).contains("cannot be read"));
        assert!(refusal(LocalKey::from_systemd("k", None)).contains("CREDENTIALS_DIRECTORY"));
        assert!(refusal(LocalKey::from_file(dir.path())).contains("is not a file"));
    }
}
