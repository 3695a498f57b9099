//! A yard whose provider also sends: its webhook.yaml, signed deliveries, and requests over a real socket.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tidegate::{domain::clock::Clock as _, system_clock::SystemClock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    daemon::{Daemon, PATIENCE, eventually},
    databases::TestDatabase,
    yard::Yard,
};

/// Signed as Standard Webhooks has it; records by value, deals by hint only.
const WEBHOOK: &str = "signature: { scheme: standard_webhooks }\ndelivery_id: { header: webhook-id }\nevent_name: type\n\
    events:\n  contact.changed: { stream: contacts, record: data, id: id, updated_at: { path: updatedAt, formats: [rfc3339] } }\n  \
    contact.hint: { stream: contacts, fetch: true }\n  deal.hint: { stream: deals, fetch: true }\n";

/// Synthetic keys of two clients, and the one that follows the first.
pub const ACME_KEY: &str = "whsec_QWNtZSBzaWducyB3aXRoIHRoaXMga2V5IG9ubHkh";
pub const ACME_NEXT_KEY: &str = "whsec_QWNtZSBoYXMgcm90YXRlZCB0byBhIG5ldyBvbmUu";
pub const BRIGHT_KEY: &str = "whsec_QnJpZ2h0IGhhcyBhIGtleSBvZiBpdHMgb3duIQ==";

/// An answer over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends bytes on a connection of their own and reads the answer, also when the other side stops reading.
pub async fn send(address: SocketAddr, head: &str, body: &[u8]) -> Answered {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let (head, body) = (head.as_bytes().to_vec(), body.to_vec());
    let writing = tokio::spawn(async move {
        let _ = to.write_all(&head).await;
        let _ = to.write_all(&body).await;
        to
    });
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 4096];
    while let Ok(read) = from.read(&mut buffer).await {
        answer.extend_from_slice(&buffer[..read]);
        if read == 0 {
            break;
        }
    }
    writing.abort();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    Answered {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// A request with a body, as a provider would send it.
pub async fn post(address: SocketAddr, path: &str, headers: &[(&str, String)], body: &[u8]) -> Answered {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n");
    send(address, &head, body).await
}

/// The headers of a delivery that is `age` seconds old.
pub fn signed(key: &str, id: &str, age: i64, body: &str) -> Vec<(&'static str, String)> {
    let key = STANDARD.decode(key.trim_start_matches("whsec_")).unwrap();
    let at = (SystemClock::new().now().micros() / 1_000_000 - age).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    vec![("webhook-id", id.to_owned()), ("webhook-timestamp", at), ("webhook-signature", signature)]
}

/// A change of a contact: name, and the minute of its last change.
pub fn contact(id: &str, name: &str, minute: u32) -> String {
    json!({
        "type": "contact.changed",
        "data": {
            "id": id,
            "updatedAt": format!("2026-03-01T08:{minute:02}:00Z"),
            "properties": {
                "firstname": name,
                "lastname": "Example",
                "email": format!("c{id}@example.test"),
                "lifecyclestage": "lead",
                "createdate": "2026-03-01T07:00:00Z",
            },
        },
    })
    .to_string()
}

/// A yard with the endpoints of both clients, and a daemon that listens.
pub struct Hooks<'d> {
    pub yard: Yard<'d>,
    /// Paths with the token.
    pub acme: String,
    pub bright: String,
    pub address: SocketAddr,
    pub daemon: Option<Daemon>,
}

impl<'d> Hooks<'d> {
    pub async fn new(db: &'d TestDatabase) -> Self {
        Self::with(db, |_| {}).await
    }

    /// As [`Hooks::new`]; `shape` sets more before the daemon starts.
    pub async fn with(db: &'d TestDatabase, shape: impl FnOnce(&mut Yard<'d>)) -> Self {
        let mut yard = Yard::new(db, 3, 0).await;
        yard.home.write("connectors/hubspot/webhook.yaml", WEBHOOK);
        yard.home
            .setting("server.listen", "127.0.0.1:0")
            .setting("server.public_url", "https://hooks.example.test")
            .variable("ACME_HOOK", ACME_KEY)
            .variable("ACME_NEXT_HOOK", ACME_NEXT_KEY)
            .variable("BRIGHT_HOOK", BRIGHT_KEY);
        shape(&mut yard);
        let text = declared(&yard, "every 30d");
        yard.declare(&text).await;
        let acme = new_path(&yard, "acme-hubspot").await;
        let bright = new_path(&yard, "bright-hubspot").await;
        let mut hooks = Self { yard, acme, bright, address: "127.0.0.1:0".parse().unwrap(), daemon: None };
        hooks.start().await;
        hooks
    }

    /// Starts the daemon and waits until it listens and its first pulls are over.
    pub async fn start(&mut self) {
        let mut daemon = self.yard.home.start(&["run"]);
        let line = daemon.wait_for_line("listening for health and metrics").await;
        self.address = line.rsplit("address=").next().unwrap().trim().parse().unwrap();
        self.daemon = Some(daemon);
        eventually("both clients were pulled once", async || {
            let text =
                "select count(*) from integration_sync_jobs where last_complete_at is not null and lease_until is null";
            (self.yard.number(text).await == 2).then_some(())
        })
        .await;
    }

    pub async fn stop(&mut self) {
        let daemon = self.daemon.take().expect("a running daemon");
        daemon.terminate();
        let done = daemon.wait(PATIENCE).await;
        assert_eq!(done.code(), Some(0), "{done}");
    }

    /// A delivery to acme, signed with its key.
    pub async fn acme(&self, id: &str, body: &str) -> Answered {
        post(self.address, &self.acme, &signed(ACME_KEY, id, 0, body), body.as_bytes()).await
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.yard.number(sql).await
    }

    /// Waits until no delivery waits.
    pub async fn settled(&self) {
        eventually("no delivery waits", async || {
            let waiting = "select count(*) from event_webhook_events where status = 'received'";
            let running = "select count(*) from integration_sync_runs where status = 'running'";
            (self.number(waiting).await == 0 && self.number(running).await == 0).then_some(())
        })
        .await;
    }

    /// Deliveries by their status, such as `normalized 2`.
    pub async fn deliveries(&self, status: &str) -> i64 {
        self.number(&format!("select count(*) from event_webhook_events where status = '{status}'")).await
    }

    /// The name of a contact's lead.
    pub async fn lead(&self, id: &str) -> Option<String> {
        let text = format!("select contact_name from crm_leads where external_id = '{id}'");
        let rows = self.yard.database.sql.rows(&text).await;
        assert!(rows.len() <= 1, "{id} stands {} times", rows.len());
        rows.first().and_then(|row| row[0].clone())
    }

    /// Ends everything; what stands must be settled.
    pub async fn end(mut self) {
        if self.daemon.is_some() {
            self.stop().await;
        }
        self.yard.assert_settled().await;
        self.yard.end().await;
    }
}

/// The yard's declaration, with what deliveries are signed with.
pub fn declared(yard: &Yard<'_>, schedule: &str) -> String {
    yard.declaration("sandbox", schedule, false)
        .replace(
            "    credential: env:ACME_TOKEN\n",
            "    credential: env:ACME_TOKEN\n    webhook_secrets: [env:ACME_HOOK]\n",
        )
        .replace(
            "    credential: env:BRIGHT_TOKEN\n",
            "    credential: env:BRIGHT_TOKEN\n    webhook_secrets: [env:BRIGHT_HOOK]\n",
        )
}

/// A new path of a connection.
pub async fn new_path(yard: &Yard<'_>, key: &str) -> String {
    let made: Value = yard.home.run_ok(&["connection", "webhook", key, "--new-path", "--json"]).await.json();
    let address = made["address"].as_str().unwrap();
    address.strip_prefix("https://hooks.example.test").unwrap_or_else(|| panic!("{address}")).to_owned()
}
