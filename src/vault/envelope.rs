//! The envelope around a secret: a random data key for each version, itself wrapped by a key-encryption key.
//!
//! Owns the cipher (XChaCha20-Poly1305: random 192-bit nonces need no counter) and what a ciphertext is bound to: client,
//! connection, credential, version and column; the wrapped key also to the key that wrapped it. Ciphertext that was moved to
//! another row, client or column does not open. Refuses to know where keys come from, and to read or write a database.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand::{TryRngCore as _, rngs::OsRng};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};

use super::{VaultError, keys::KeyEncryptionKey};
use crate::{
    domain::ids::{ClientId, ConnectionId},
    store::credentials::{Sealed, StoredCredential},
};

/// The word that stands in `algorithm`.
pub const ALGORITHM: &str = "xchacha20poly1305";
pub(super) const KEY_BYTES: usize = 32;
pub(super) const NONCE_BYTES: usize = 24;

/// A data key; forgotten when it is dropped.
pub type DataKey = Zeroizing<[u8; KEY_BYTES]>;

/// What a ciphertext is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub client: ClientId,
    pub connection: ConnectionId,
    pub credential_key: String,
    pub version: i64,
}

impl Binding {
    /// That of a stored row.
    pub fn of(row: &StoredCredential) -> Self {
        Self {
            client: row.client_id,
            connection: row.connection_id,
            credential_key: row.credential_key.clone(),
            version: row.version,
        }
    }

    /// The same credential's next version.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    /// Each part with its length before it, so that no two bindings make the same bytes.
    pub(super) fn associated_data(&self, column: &str, key_id: &str) -> Vec<u8> {
        let parts = [
            "tidegate credential 1",
            column,
            &self.client.to_string(),
            &self.connection.to_string(),
            &self.credential_key,
            &self.version.to_string(),
            key_id,
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// Random bytes from the system.
///
/// # Errors
/// [`VaultError::Key`]: the system gives none.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    OsRng
        .try_fill_bytes(bytes.as_mut_slice())
        .map_err(|_| VaultError::key("the system gives no random bytes", "see that /dev/urandom can be read"))?;
    Ok(bytes)
}

pub(super) fn encrypt(key: &DataKey, nonce: &[u8; NONCE_BYTES], text: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new((&**key).into());
    cipher.encrypt(&XNonce::from(*nonce), Payload { msg: text, aad }).ok()
}

pub(super) fn decrypt(key: &DataKey, nonce: &[u8], text: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    cipher.decrypt(&XNonce::from(nonce), Payload { msg: text, aad }).ok().map(Zeroizing::new)
}

/// A data key that is wrapped already, waiting for its secret. Made before a provider is asked for a new token: what comes
/// after the answer needs no key service and cannot fail for want of one.
pub struct Prepared {
    binding: Binding,
    key: DataKey,
    key_id: String,
    wrapped_key: String,
    nonce: Zeroizing<[u8; NONCE_BYTES]>,
}

impl Prepared {
    /// Makes and wraps a new data key for one version of one credential.
    ///
    /// # Errors
    /// [`VaultError::Key`] or [`VaultError::Away`] of the key that wraps.
    pub async fn new(kek: &dyn KeyEncryptionKey, binding: Binding) -> Result<Self, VaultError> {
        let key: DataKey = random()?;
        let nonce = random()?;
        let wrapped_key = kek.wrap(&key, &binding.associated_data("wrapped_key", kek.id())).await?;
        Ok(Self { binding, key, key_id: kek.id().to_owned(), wrapped_key, nonce })
    }

    /// What the secret will be bound to.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The version that the secret will be.
    pub fn version(&self) -> i64 {
        self.binding.version
    }

    /// Seals the secret.
    ///
    /// # Errors
    /// [`VaultError::Refused`]: the secret is larger than the cipher can take.
    pub fn seal(&self, secret: &SecretString) -> Result<Sealed, VaultError> {
        let aad = self.binding.associated_data("ciphertext", "");
        let ciphertext = encrypt(&self.key, &self.nonce, secret.expose_secret().as_bytes(), &aad)
            .ok_or_else(|| VaultError::refused("the secret is too large", "store what the provider gave, no more"))?;
        Ok(Sealed {
            algorithm: ALGORITHM.to_owned(),
            key_id: self.key_id.clone(),
            wrapped_key: self.wrapped_key.clone(),
            nonce: STANDARD.encode(self.nonce.as_slice()),
            ciphertext: STANDARD.encode(ciphertext),
        })
    }
}

/// Opens a sealed secret with the key that wrapped it.
///
/// # Errors
/// [`VaultError::Closed`]: it is not this row's, was changed, or was sealed in a way that this version does not know.
pub async fn open(kek: &dyn KeyEncryptionKey, binding: &Binding, sealed: &Sealed) -> Result<SecretString, VaultError> {
    if sealed.algorithm != ALGORITHM {
        return Err(VaultError::closed(
            format!("credential {} was sealed with '{}'", binding.credential_key, sealed.algorithm),
            "use a newer program, or store the secret again: tidegate credential set",
        ));
    }
    let key = kek.unwrap(&sealed.wrapped_key, &binding.associated_data("wrapped_key", kek.id())).await?;
    let aad = binding.associated_data("ciphertext", "");
    let opened = STANDARD
        .decode(&sealed.nonce)
        .ok()
        .zip(STANDARD.decode(&sealed.ciphertext).ok())
        .and_then(|(nonce, ciphertext)| decrypt(&key, &nonce, &ciphertext, &aad))
        .ok_or_else(|| does_not_open(&binding.credential_key))?;
    let text = std::str::from_utf8(&opened).map_err(|_| does_not_open(&binding.credential_key))?;
    Ok(SecretString::from(text))
}

/// Wraps the data key of a version with another key; the ciphertext stays as it is.
///
/// # Errors
/// As [`open`], and those of the key that wraps.
pub async fn rewrap(
    from: &dyn KeyEncryptionKey,
    to: &dyn KeyEncryptionKey,
    binding: &Binding,
    sealed: &Sealed,
) -> Result<String, VaultError> {
    let key = from.unwrap(&sealed.wrapped_key, &binding.associated_data("wrapped_key", from.id())).await?;
    to.wrap(&key, &binding.associated_data("wrapped_key", to.id())).await
}

fn does_not_open(credential_key: &str) -> VaultError {
    VaultError::closed(
        format!("credential {credential_key} does not open: its row was changed, or holds what was sealed for another"),
        "find out who wrote to integration_credentials, then store the secret again: tidegate credential set",
    )
}
