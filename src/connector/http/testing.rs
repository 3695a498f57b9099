//! What tests of the gate and of connectors share: a clock that jumps, secrets, and a server that speaks raw bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{GateOptions, HttpGate};
use crate::{
    connector::{ConnectorError, credential::CredentialSource},
    domain::clock::{Clock, Sleep, Timestamp},
};

/// Stands still until it is told to go on; a sleep goes on by itself and takes no time.
pub struct ManualClock {
    start: Timestamp,
    passed: Mutex<Duration>,
}

impl ManualClock {
    pub fn at(start: &str) -> Arc<Self> {
        Arc::new(Self { start: start.parse().unwrap(), passed: Mutex::default() })
    }

    pub fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        *self.passed.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }
}

/// Options of a gate that may talk to this machine, with small bounds.
pub fn options() -> GateOptions {
    GateOptions {
        allow_private: vec!["127.0.0.0/8".to_owned()],
        max_body_bytes: 64 * 1024,
        max_retries: 3,
        requests_per_second: 100.0,
        burst: 100,
        ..GateOptions::default()
    }
}

/// A gate with those options.
pub fn gate(clock: &Arc<ManualClock>) -> Arc<HttpGate> {
    gate_with(options(), clock)
}

pub fn gate_with(options: GateOptions, clock: &Arc<ManualClock>) -> Arc<HttpGate> {
    HttpGate::new(options, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

/// Hands out one secret after the other on `refresh`.
pub struct Secrets(Mutex<VecDeque<String>>);

impl Secrets {
    pub fn of(secrets: &[&str]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(secrets.iter().map(|s| (*s).to_owned()).collect())))
    }

    fn first(&self) -> Option<SecretString> {
        self.0.lock().unwrap().front().map(|s| SecretString::from(s.clone()))
    }
}

#[async_trait]
impl CredentialSource for Secrets {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        Ok(self.first())
    }

    async fn refresh(&self) -> Result<Option<SecretString>, ConnectorError> {
        let mut secrets = self.0.lock().unwrap();
        if secrets.len() > 1 {
            secrets.pop_front();
        }
        drop(secrets);
        Ok(self.first())
    }
}

/// A server on loopback that answers each connection with the next script, byte for byte, and then closes.
/// The last script is repeated.
pub struct RawServer {
    pub base: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl RawServer {
    pub async fn start(scripts: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut socket, _)) = listener.accept().await {
                let request = read_request(&mut socket).await;
                log.lock().unwrap().push(request);
                let script = &scripts[turn.min(scripts.len() - 1)];
                turn += 1;
                let _ = socket.write_all(script).await;
                let _ = socket.shutdown().await;
            }
        });
        Self { base, seen, task }
    }

    /// The requests as they came in, whole.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap())
                })
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A whole answer with a JSON body.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}
