//! The HTTP listener: whether the process lives, whether it can work, what a scrape reads, and where webhooks come in.
//!
//! Owns addresses, paths and answers. Everything but the webhooks reads only; nothing else that a request says changes anything. No answer
//! names a version, a client, a path on disk or an error of the database.

mod cached;
mod scrape;
mod webhooks;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::cached::Cached;
use crate::{
    alerts::Rules,
    domain::clock::Clock,
    intake::Door,
    store::{SharedStore, schema::SchemaState},
    telemetry::{chain, recorder::Recorder},
};

/// Longest wait for the database in one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer of the database is used again: probes and scrapes, however many, cost one look.
const READY_FOR: Duration = Duration::from_secs(1);
const SCRAPED_FOR: Duration = Duration::from_secs(5);
/// How long the last answers may take when the listener is stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// What `encode` writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What answers stand on.
pub struct Facts {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub rules: Arc<Rules>,
    pub recorder: Arc<Recorder>,
    /// Where webhooks come in; `None`: there is no such route.
    pub door: Option<Arc<Door>>,
}

/// The listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("server.listen: {address} cannot be listened on")]
pub struct ListenError {
    pub address: SocketAddr,
    #[source]
    source: std::io::Error,
}

struct Shared {
    facts: Facts,
    ready: Cached<bool>,
    gauges: Cached<Option<scrape::Gauges>>,
}

/// A listener at work.
pub struct Listening {
    /// With the port that was taken, where 0 was asked for.
    pub address: SocketAddr,
    clock: Arc<dyn Clock>,
    server: JoinHandle<()>,
}

/// Binds, serves in the background until `stop`, and returns at once.
///
/// # Errors
/// [`ListenError`]: the address is taken or not ours.
pub async fn listen(address: SocketAddr, facts: Facts, stop: CancellationToken) -> Result<Listening, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let clock = Arc::clone(&facts.clock);
    let shared = Arc::new(Shared { facts, ready: Cached::new(READY_FOR), gauges: Cached::new(SCRAPED_FOR) });
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/webhooks/{token}", any(webhooks::take))
        .fallback(nothing_here)
        .method_not_allowed_fallback(only_get)
        .with_state(shared);
    let server = tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await }).await;
        if let Err(error) = served {
            tracing::error!(error = %chain(&error), "the HTTP listener ended");
        }
    });
    tracing::info!(%address, "listening for health and metrics");
    Ok(Listening { address, clock, server })
}

impl Listening {
    /// Waits until the last answer is out, at most a few seconds. To be called when `stop` was given.
    pub async fn ended(mut self) {
        tokio::select! {
            _ = &mut self.server => {}
            () = self.clock.sleep(LAST_ANSWERS) => self.server.abort(),
        }
    }
}

async fn nothing_here() -> Response {
    text(StatusCode::NOT_FOUND, "not found\n")
}

async fn only_get() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n")
}

/// The process lives; whether it can work is `/readyz`.
async fn healthz() -> Response {
    text(StatusCode::OK, "alive\n")
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    if shared.ready.get(&*shared.facts.clock, ready(&shared.facts)).await {
        text(StatusCode::OK, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "not ready: see the log, or tidegate healthcheck\n")
    }
}

/// The database answers, and its schema is this program's.
async fn ready(facts: &Facts) -> bool {
    let asked = async {
        facts.store.ping().await?;
        facts.store.schema_state().await
    };
    tokio::select! {
        state = asked => match state {
            Ok(SchemaState::Current) => true,
            Ok(_) => {
                tracing::warn!("not ready: the schema is not this program's; see tidegate migrate --check");
                false
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "not ready: the database does not answer");
                false
            }
        },
        () = facts.clock.sleep(PATIENCE) => {
            tracing::warn!("not ready: the database does not answer in time");
            false
        }
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let facts = &shared.facts;
    let look = async {
        tokio::select! {
            gauges = scrape::read(facts) => gauges,
            () = facts.clock.sleep(PATIENCE) => None,
        }
    };
    let gauges = shared.gauges.get(&*facts.clock, look).await;
    match scrape::text(facts, gauges.as_ref()) {
        Ok(body) => answer(StatusCode::OK, OPEN_METRICS, body),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n"),
    }
}

fn text(status: StatusCode, body: &'static str) -> Response {
    answer(status, "text/plain; charset=utf-8", body.to_owned())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}
