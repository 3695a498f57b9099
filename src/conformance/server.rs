//! The simulated provider on a port of this machine: real HTTP, for one stream at a time.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode},
};
use tokio::net::TcpListener;
use url::Url;

use super::{
    asked::Asked,
    provider::{Canned, Provider},
};
use crate::domain::clock::Clock as _;

/// Largest request that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// Whoever answers at the moment.
enum Behind {
    Nobody,
    /// One answer for everything: a fixture.
    One(Canned, Vec<(regex::Regex, serde_json::Value)>, Option<crate::connector::manifest::Grant>),
    Provider(Arc<Provider>),
}

/// A listening server. Dropping it stops it.
pub struct Server {
    /// `http://127.0.0.1:PORT/`
    pub address: Url,
    behind: Arc<Mutex<Behind>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Takes a free port of 127.0.0.1.
    ///
    /// # Errors
    /// This machine gives none.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let behind = Arc::new(Mutex::new(Behind::Nobody));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&behind));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::warn!(error = %error, "the simulated provider ended");
            }
        });
        let address = Url::parse(&format!("http://{address}/")).map_err(std::io::Error::other)?;
        Ok(Self { address, behind, task })
    }

    fn put(&self, behind: Behind) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    /// Answers as that provider from now on.
    pub fn play(&self, provider: &Arc<Provider>) {
        self.put(Behind::Provider(Arc::clone(provider)));
    }

    /// Answers every request alike, but for parents' listings and the token service.
    pub fn replay(
        &self,
        canned: Canned,
        parents: Vec<(regex::Regex, serde_json::Value)>,
        grant: Option<crate::connector::manifest::Grant>,
    ) {
        self.put(Behind::One(canned, parents, grant));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(behind): State<Arc<Mutex<Behind>>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BYTES).await.unwrap_or_default();
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let meant = head.uri.path().trim_start_matches('/').replacen('/', "://", 1);
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers = headers.collect();
    let canned = match Url::parse(&format!("{meant}{query}")) {
        Err(_) => Canned::new(404, &serde_json::json!({"message": "the address cannot be read"})),
        Ok(url) => {
            let behind = behind.lock().unwrap_or_else(PoisonError::into_inner);
            let path = url.as_str().split('?').next().unwrap_or_default();
            match &*behind {
                Behind::Nobody => Canned::new(404, &serde_json::json!({"message": "nobody answers"})),
                Behind::One(canned, parents, grant) => {
                    let granted = grant.as_ref().filter(|grant| fits(&grant.address, path));
                    let parent = parents.iter().find(|(pattern, _)| pattern.is_match(path));
                    match (granted, parent) {
                        (Some(grant), _) => Canned::new(200, &grant.answer),
                        (None, Some((_, body))) => Canned::new(200, body),
                        (None, None) => canned.clone(),
                    }
                }
                Behind::Provider(provider) => {
                    let body = String::from_utf8_lossy(&bytes).into_owned();
                    provider.answer(Asked { at: provider.clock.now(), url, headers, body })
                }
            }
        }
    };
    let mut response = Response::new(Body::from(canned.body));
    *response.status_mut() = StatusCode::from_u16(canned.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in canned.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn fits(pattern: &str, path: &str) -> bool {
    regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(path))
}
