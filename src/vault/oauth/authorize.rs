//! The first authorisation: a person says yes in a browser, the code comes back to a listener on this machine.
//!
//! Owns the authorization-code grant with PKCE (RFC 7636, S256; RFC 8252 for the loopback listener). Refuses an answer without our
//! `state`: it is told off and waited on, for anybody on this machine can knock. Listens on loopback only, for a limited time.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use url::Url;

use super::{
    Tokens,
    grant::{self, Grant, Refusal},
};
use crate::{
    store::catalogue::{AdminAction, Connection},
    vault::{
        Change, Vault, VaultError,
        envelope::{Binding, random},
        stored::unknown,
    },
};

const PATH: &str = "/callback";
/// A longer request is none of a browser that comes back.
const MAX_REQUEST: usize = 16 * 1024;
/// Longest time for one knock.
const KNOCK: Duration = Duration::from_secs(10);
const MOST_KNOCKS: usize = 8;
const NEEDED: &str = "store the client first: tidegate credential set KEY --connection CONNECTION, with client_id, token_url and authorize_url";

/// What came back to the listener.
enum Answer {
    Code(SecretString),
    /// The provider's own error word.
    Denied(String),
}

/// An authorisation that waits for a person.
pub struct Authorization {
    /// What the person opens in a browser.
    pub url: Url,
    credential_key: String,
    listener: TcpListener,
    redirect: String,
    state: SecretString,
    verifier: SecretString,
}

impl Vault {
    /// Opens the listener and makes the address to visit. `port` 0 takes a free one.
    ///
    /// # Errors
    /// [`VaultError::Refused`]: no such credential, no `authorize_url`, an address that the network policy forbids.
    pub async fn begin_authorization(&self, connection: &Connection, port: u16) -> Result<Authorization, VaultError> {
        let reference = connection.spec.credential_ref.as_deref().unwrap_or_default();
        let Some(key) = reference.strip_prefix("vault:") else {
            let message = format!("{} keeps its credential elsewhere ({reference})", connection.spec.connection_key);
            return Err(VaultError::refused(
                message,
                "declare credential: vault:KEY and refresh_policy: oauth2, and apply",
            ));
        };
        let row = self.store.credential_of(key, connection.id, connection.client_id).await?;
        let row = row.filter(|row| !row.revoked).ok_or_else(|| unknown(key))?;
        let (tokens, _) = Tokens::parse(&self.open(&row).await?)?;
        let Some(mut url) = tokens.authorize_url else {
            return Err(VaultError::refused(format!("credential {key} has no authorize_url"), NEEDED));
        };
        self.gate.policy().check(&url).map_err(|error| VaultError::refused(error.to_string(), NEEDED))?;
        let unheard = |error: std::io::Error| {
            VaultError::refused(format!("no listener on 127.0.0.1:{port}: {error}"), "use --port 0")
        };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(unheard)?;
        let redirect = format!("http://{}{PATH}", listener.local_addr().map_err(unheard)?);
        let state = SecretString::from(URL_SAFE_NO_PAD.encode(random::<32>()?.as_slice()));
        let verifier = SecretString::from(URL_SAFE_NO_PAD.encode(random::<32>()?.as_slice()));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()));
        let scope = tokens.scope.unwrap_or_else(|| connection.spec.scopes.join(" "));
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code").append_pair("client_id", &tokens.client_id);
            query.append_pair("redirect_uri", &redirect).append_pair("state", state.expose_secret());
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
            if !scope.is_empty() {
                query.append_pair("scope", &scope);
            }
        }
        Ok(Authorization { url, credential_key: key.to_owned(), listener, redirect, state, verifier })
    }

    /// Waits for the person, exchanges the code and stores the tokens.
    ///
    /// # Errors
    /// [`VaultError::Refused`]: nobody came in time, the person or the service said no, the credential was changed meanwhile.
    pub async fn finish_authorization(
        &self,
        waiting: Authorization,
        connection: &Connection,
        limit: Duration,
        action: &AdminAction,
    ) -> Result<Change, VaultError> {
        let again = "run tidegate connection authorize again";
        let key = waiting.credential_key.clone();
        let answer = tokio::select! {
            answer = listen(&waiting) => answer,
            () = self.clock().sleep(limit) => {
                return Err(VaultError::refused(format!("nobody came back within {} s", limit.as_secs()), again));
            }
        };
        let code = match answer {
            Answer::Code(code) => code,
            Answer::Denied(word) => return Err(VaultError::refused(format!("the provider says no ({word})"), again)),
        };
        // Read anew: minutes have passed.
        let row = self.store.credential_of(&key, connection.id, connection.client_id).await?;
        let row = row.filter(|row| !row.revoked).ok_or_else(|| unknown(&key))?;
        let (tokens, _) = Tokens::parse(&self.open(&row).await?)?;
        // The key service is asked before the code is used up.
        let prepared = self.prepare(Binding::of(&row).next()).await?;
        let grant = Grant::Code { code: &code, verifier: &waiting.verifier, redirect: &waiting.redirect };
        let granted = grant::ask(&self.gate, &tokens, grant).await.map_err(|refusal| match refusal {
            Refusal::InvalidGrant => VaultError::refused("the token service does not take the code (invalid_grant)", again),
            Refusal::Refused(word) => VaultError::refused(
                format!("the token service refuses the client or the question: {word}"),
                "check client_id, client_secret and client_auth, and that the redirect address is allowed at the provider",
            ),
            Refusal::Later { reason, .. } => VaultError::Away { message: reason, source: None },
            Refusal::Forbidden(error) => VaultError::refused(error.to_string(), "correct token_url"),
        })?;
        let expires_in = granted.expires_in;
        let secret = tokens.renewed(granted).document();
        self.store_prepared(&prepared, Some(&row), &secret, expires_in, action).await
    }
}

/// Answers whoever knocks until one brings our state.
async fn listen(waiting: &Authorization) -> Answer {
    let (sender, mut answers) = mpsc::channel(1);
    let knocks = Arc::new(tokio::sync::Semaphore::new(MOST_KNOCKS));
    let expected: [u8; 32] = Sha256::digest(waiting.state.expose_secret()).into();
    let accept = async {
        loop {
            // A knock that takes its time must not keep the right one out.
            let Ok(turn) = Arc::clone(&knocks).acquire_owned().await else { std::future::pending().await };
            let Ok((socket, _)) = waiting.listener.accept().await else { continue };
            let sender = sender.clone();
            tokio::spawn(async move {
                let _turn = turn;
                if let Ok(Some(answer)) = tokio::time::timeout(KNOCK, knock(socket, expected)).await {
                    // Somebody was first with the right state.
                    let _ = sender.send(answer).await;
                }
            });
        }
    };
    tokio::select! {
        Some(answer) = answers.recv() => answer,
        never = accept => never,
    }
}

async fn knock(mut socket: TcpStream, expected: [u8; 32]) -> Option<Answer> {
    let mut request = Vec::new();
    let mut chunk = [0; 2048];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = socket.read(&mut chunk).await.ok()?;
        if read == 0 || request.len() + read > MAX_REQUEST {
            return None;
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let found = answer_of(&request, expected);
    let (status, text) = match &found {
        Ok(Answer::Code(_)) => ("200 OK", "Done. You can close this window and go back to the terminal."),
        Ok(Answer::Denied(_)) => ("200 OK", "The provider said no. Go back to the terminal."),
        Err(status) => (*status, "This is not the answer that is waited for."),
    };
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    // The person sees no page when this fails; the code is here all the same.
    let _ = socket.write_all(reply.as_bytes()).await;
    let _ = socket.shutdown().await;
    found.ok()
}

/// The code, or the status of the refusal.
fn answer_of(request: &[u8], expected: [u8; 32]) -> Result<Answer, &'static str> {
    let line = request.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let target = line.and_then(|line| line.strip_prefix("GET ")?.split(' ').next()).ok_or("405 Method Not Allowed")?;
    // Only path and query count; the host is whatever the browser was told.
    let url: Url = format!("http://127.0.0.1{target}").parse().map_err(|_| "400 Bad Request")?;
    if url.path() != PATH {
        return Err("404 Not Found");
    }
    let only = |name: &str| {
        let mut found = url.query_pairs().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.into_owned()).filter(|_| found.next().is_none())
    };
    // Hashes are compared, so how long it takes tells nothing of the state.
    let state = only("state").ok_or("400 Bad Request")?;
    if <[u8; 32]>::from(Sha256::digest(state)) != expected {
        return Err("400 Bad Request");
    }
    if let Some(code) = only("code").filter(|code| !code.is_empty()) {
        return Ok(Answer::Code(SecretString::from(code)));
    }
    let word = only("error").ok_or("400 Bad Request")?;
    let plain = word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    Ok(Answer::Denied(if plain { word } else { "an unreadable reason".to_owned() }))
}
