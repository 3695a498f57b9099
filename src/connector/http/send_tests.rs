//! The request loop against a server that misbehaves, byte by byte.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::*;
use crate::{
    connector::http::{
        GateOptions,
        testing::{ManualClock, RawServer, Secrets, answer, gate, gate_with, options},
    },
    domain::{clock::Clock, counts::Traffic},
};

struct Case {
    gate: Arc<HttpGate>,
    clock: Arc<ManualClock>,
    server: RawServer,
    traffic: TrafficMeter,
    secrets: Arc<Secrets>,
    method: Method,
    safe: bool,
}

impl Case {
    async fn new(scripts: Vec<Vec<u8>>) -> Self {
        let clock = ManualClock::at("2026-01-31T08:00:00Z");
        Self {
            gate: gate(&clock),
            clock,
            server: RawServer::start(scripts).await,
            traffic: TrafficMeter::default(),
            secrets: Secrets::of(&["tok-1", "tok-2"]),
            method: Method::Get,
            safe: true,
        }
    }

    async fn run(&self) -> Result<Answer, ConnectorError> {
        let result = self.ask().await;
        if let Err(error) = &result {
            assert!(error.message.contains("127.0.0.1"), "{error}");
        }
        result
    }

    async fn gate_error(&self) -> ConnectorError {
        self.ask().await.unwrap_err()
    }

    async fn ask(&self) -> Result<Answer, ConnectorError> {
        let limit = LimitKey { account: "p/1".into(), requests_per_second: None, burst: None, at_once: None };
        let url: Url = format!("{}/v1/things?api_key=hush", self.server.base).parse().unwrap();
        let call = |secret: Option<&SecretString>| {
            let token = secret.map(|s| s.expose_secret().to_owned()).unwrap_or_default();
            let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
            Ok(Call { method: self.method, url: url.clone(), headers, body: Body::None })
        };
        let hosts = AllowedHosts::of([&url]);
        let fetch = Fetch {
            limit: &limit,
            hosts: &hosts,
            credential: self.secrets.as_ref(),
            traffic: &self.traffic,
            call: &call,
            safe_to_repeat: self.safe,
            max_retries: None,
            judge: None,
            spool: None,
        };
        let result = self.gate.fetch(&fetch).await;
        if let Err(error) = &result {
            for hidden in ["hush", "tok-", "PAYLOAD"] {
                let whole = format!("{error} {error:?} {:?}", error.source);
                assert!(!whole.contains(hidden), "{whole}");
            }
        }
        result
    }
}

#[tokio::test]
async fn a_401_reads_the_credential_anew_once() {
    let case = Case::new(vec![answer(401, "", "{}"), answer(200, "", r#"{"ok":true}"#)]).await;
    let found = case.run().await.unwrap();
    assert_eq!(found.json().unwrap()["ok"], true);
    let seen = case.server.seen();
    assert!(seen[0].contains("Bearer tok-1") && seen[1].contains("Bearer tok-2"), "{seen:?}");
    assert_eq!(case.traffic.take(), Traffic { requests: 2, retries: 1, rate_limited_ms: 0, bytes_in: 13 });

    let case = Case::new(vec![answer(401, "", r#"{"category":"EXPIRED_AUTHENTICATION"}"#)]).await;
    let error = case.run().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert!(error.message.contains("EXPIRED_AUTHENTICATION"), "{error}");
    assert_eq!(case.server.seen().len(), 2);
}

#[tokio::test]
async fn a_429_waits_as_told_and_counts_the_wait() {
    let case = Case::new(vec![answer(429, "Retry-After: 7\r\n", "{}"), answer(200, "", "[]")]).await;
    case.run().await.unwrap();
    assert_eq!(case.clock.monotonic(), Duration::from_secs(7));
    assert_eq!(case.traffic.take(), Traffic { requests: 2, retries: 1, rate_limited_ms: 7000, bytes_in: 4 });
}

#[tokio::test]
async fn a_limit_longer_than_the_budget_ends_the_request_and_stops_the_account_for_all() {
    let case = Case::new(vec![answer(429, "Retry-After: 3600\r\n", "{}"), answer(200, "", "[]")]).await;
    for _ in 0..2 {
        let error = case.run().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(3600)) });
    }
    assert_eq!(case.server.seen().len(), 1, "the second request must not go out");
    case.clock.advance(Duration::from_secs(3600));
    case.run().await.unwrap();
}

#[tokio::test]
async fn server_errors_are_repeated_up_to_the_cap_and_refusals_are_not() {
    let case = Case::new(vec![answer(500, "", ""), answer(502, "", ""), answer(200, "", "{}")]).await;
    case.run().await.unwrap();
    assert_eq!(case.traffic.take().retries, 2);

    let case = Case::new(vec![answer(500, "", "PAYLOAD")]).await;
    assert_eq!(case.run().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(case.server.seen().len(), 4, "one and three retries");

    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::Rejected),
        (410, ErrorKind::Rejected),
        (422, ErrorKind::Rejected),
        (302, ErrorKind::Policy),
        (304, ErrorKind::Rejected),
    ] {
        let case = Case::new(vec![answer(status, "Location: http://127.0.0.1:9/\r\n", "PAYLOAD")]).await;
        assert_eq!(case.run().await.unwrap_err().kind, kind, "{status}");
        assert_eq!(case.server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_by_hand_at_most_three_times_and_every_hop_is_counted() {
    let on = |to: &str| answer(302, &format!("Location: {to}\r\n"), "");
    let case = Case::new(vec![on("/v2/a"), on("/v2/b?x=1"), on("../v3"), answer(200, "", "{}")]).await;
    case.run().await.unwrap();
    let seen = case.server.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen[3].starts_with("GET /v3 ") && seen[3].contains("Bearer tok-1"), "the same origin: {}", seen[3]);
    assert_eq!(case.traffic.take().requests, 4);

    let case = Case::new(vec![on("/again")]).await;
    let error = case.run().await.unwrap_err();
    assert!(error.kind == ErrorKind::Rejected && error.message.contains("three times"), "{error}");
    assert_eq!(case.server.seen().len(), 4);
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_no_credential_along_and_a_401_there_says_nothing_about_it() {
    for (status, expected) in [(200, None), (401, Some(ErrorKind::Rejected))] {
        let other = RawServer::start(vec![answer(status, "", "{}")]).await;
        let case = Case::new(vec![answer(307, &format!("Location: {}/v9\r\n", other.base), "")]).await;
        let own: Url = case.server.base.parse().unwrap();
        let hosts = AllowedHosts::of([&own, &other.base.parse().unwrap()]);
        let limit = LimitKey { account: "p/1".into(), requests_per_second: None, burst: None, at_once: None };
        let call = |secret: Option<&SecretString>| {
            let token = secret.map(|s| s.expose_secret().to_owned()).unwrap_or_default();
            let headers = vec![("X-Api-Key".to_owned(), token.clone()), ("Authorization".to_owned(), token)];
            Ok(Call { method: Method::Get, url: own.clone(), headers, body: Body::None })
        };
        let fetch = Fetch {
            limit: &limit,
            hosts: &hosts,
            credential: case.secrets.as_ref(),
            traffic: &case.traffic,
            call: &call,
            safe_to_repeat: true,
            max_retries: None,
            judge: None,
            spool: None,
        };
        assert_eq!(case.gate.fetch(&fetch).await.err().map(|error| error.kind), expected);
        assert!(case.server.seen()[0].contains("tok-1"));
        assert_eq!(other.seen().len(), 1);
        assert!(!other.seen()[0].contains("tok-"), "{}", other.seen()[0]);
    }
}

#[tokio::test]
async fn a_redirect_into_the_inside_is_refused_and_not_connected_to() {
    for to in [
        "http://169.254.169.254/latest/",
        "https://10.0.0.1/",
        "http://[::1]:9/",
        "file:///etc/passwd",
        "//localhost:9/",
    ] {
        let case = Case::new(vec![answer(302, &format!("Location: {to}\r\n"), ""), answer(200, "", "{}")]).await;
        let error = case.gate_error().await;
        assert_eq!(error.kind, ErrorKind::Policy, "{to}: {error}");
        assert_eq!(case.server.seen().len(), 1, "{to}");
    }
}

#[tokio::test]
async fn a_body_cut_short_is_asked_for_again() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"half\":".to_vec();
    let case = Case::new(vec![half.clone(), answer(200, "", "{}")]).await;
    case.run().await.unwrap();
    assert_eq!(case.server.seen().len(), 2);

    let mut case = Case::new(vec![half]).await;
    assert_eq!(case.run().await.unwrap_err().kind, ErrorKind::Unavailable);
    (case.safe, case.method) = (false, Method::Post);
    let before = case.server.seen().len();
    assert_eq!(case.run().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(case.server.seen().len(), before + 1, "what may have taken effect is not repeated");
}

#[tokio::test]
async fn a_small_body_cannot_inflate_past_the_cap() {
    let bomb: Vec<u8> = gzip_of_zeros(1024 * 1024);
    let mut script = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    assert!(bomb.len() < 8 * 1024);
    script.extend(bomb);
    let case = Case::new(vec![script]).await;
    let error = case.run().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Decode);
    assert!(error.message.contains("65536") && error.message.contains("max_body_bytes"), "{error}");
    assert!(case.traffic.take().bytes_in < 2 * 64 * 1024);
    assert_eq!(case.server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_named_without_being_shown() {
    let case = Case::new(vec![answer(200, "", "<html>PAYLOAD</html>")]).await;
    let error = case.run().await.unwrap().json().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Decode);
    assert!(!error.message.contains("PAYLOAD") && error.message.contains("20 bytes"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unavailable_also_for_what_must_not_be_repeated() {
    let mut case = Case::new(vec![answer(200, "", "{}")]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    case.server.base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    case.safe = false;
    assert_eq!(case.run().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(case.traffic.take().retries, 3, "nothing was sent, so it is safe to repeat");
}

/// Accepts, reads, and says nothing; counts the connections.
async fn silent_server() -> (String, Arc<std::sync::Mutex<Vec<tokio::net::TcpStream>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let held = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = Arc::clone(&held);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            keep.lock().unwrap().push(socket);
        }
    });
    (base, held)
}

#[tokio::test]
async fn a_provider_that_accepts_and_never_answers_is_given_up_after_the_retries() {
    let (base, held) = silent_server().await;
    let mut case = Case::new(vec![answer(200, "", "{}")]).await;
    case.server.base = base;
    let small = GateOptions { read_timeout: Duration::from_millis(40), max_retries: 2, ..options() };
    case.gate = gate_with(small, &case.clock);
    let error = case.run().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.ends_with("was not answered in time"), "{error}");
    assert_eq!(case.traffic.take(), Traffic { requests: 3, retries: 2, rate_limited_ms: 0, bytes_in: 0 });
    assert_eq!(held.lock().unwrap().len(), 3);

    case.safe = false;
    assert_eq!(case.run().await.unwrap_err().kind, ErrorKind::Unavailable);
    assert_eq!(held.lock().unwrap().len(), 4, "it may have taken effect, so it is not repeated");
}

#[tokio::test]
async fn without_ca_certificates_only_https_is_refused_and_the_remedy_is_told() {
    let mut case = Case::new(vec![answer(200, "", "{}")]).await;
    let mut gate = Arc::into_inner(gate(&case.clock)).unwrap();
    gate.tls_client = std::sync::OnceLock::from(None);
    assert!(!gate.speaks_tls());
    case.gate = Arc::new(gate);
    case.run().await.unwrap();
    case.server.base = case.server.base.replace("http://", "https://");
    let error = case.run().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
    assert!(error.message.contains("ca-certificates") && error.message.contains("SSL_CERT_FILE"), "{error}");
    assert_eq!(case.server.seen().len(), 1);
}

/// A gzip stream of `size` zero bytes: a run of fixed-Huffman matches, made by hand since no compressor is a dependency.
fn gzip_of_zeros(size: usize) -> Vec<u8> {
    struct Bits(Vec<u8>, u32);
    impl Bits {
        fn push(&mut self, bit: bool) {
            if self.1.is_multiple_of(8) {
                self.0.push(0);
            }
            if bit {
                *self.0.last_mut().unwrap() |= 1 << (self.1 % 8);
            }
            self.1 += 1;
        }
        /// Huffman codes go in with their highest bit first.
        fn code(&mut self, code: u32, length: u32) {
            (0..length).rev().for_each(|at| self.push(code >> at & 1 == 1));
        }
    }
    let mut bits = Bits(Vec::new(), 0);
    [true, true, false].into_iter().for_each(|bit| bits.push(bit)); // final block, fixed codes
    bits.code(0x30, 8); // literal 0
    for _ in 0..size / 258 {
        bits.code(0b1100_0101, 8); // length 258
        bits.code(0, 5); // distance 1
    }
    bits.code(0, 7); // end of block
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(bits.0);
    out.extend([0; 8]); // checksum and size: never reached
    out
}
