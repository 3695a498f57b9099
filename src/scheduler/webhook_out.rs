//! Notices by HTTP: one POST through the gate, under its network policy, signed with a secret that is read when it is used.
//!
//! Owns what a failure may say. The address may itself be a secret (many chat systems put a token into its path), so that only its host
//! is ever named.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use url::Url;

use crate::{
    alerts::{Notice, SendFault, Sender},
    connector::{
        ConnectorError, ErrorKind, TrafficMeter,
        credential::CredentialSource,
        http::{AllowedHosts, Body, Call, Fetch, HttpGate, LimitKey, Method},
    },
    domain::clock::Clock,
};

/// Longest time for one notice; whoever listens should answer first and work later.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends notices to one address.
pub struct WebhookOut {
    pub gate: Arc<HttpGate>,
    pub clock: Arc<dyn Clock>,
    pub url: Url,
    pub secret: Arc<dyn CredentialSource>,
}

#[async_trait]
impl Sender for WebhookOut {
    async fn send(&self, notice: &Notice) -> Result<(), SendFault> {
        let host = self.url.host_str().unwrap_or_default().to_owned();
        let limit =
            LimitKey { account: format!("alerts/{host}"), requests_per_second: None, burst: None, at_once: None };
        let traffic = TrafficMeter::default();
        let call = |secret: Option<&secrecy::SecretString>| {
            let secret = secret.ok_or_else(|| {
                ConnectorError::new(ErrorKind::Settings, "alerts.webhook_secret names no secret".to_owned())
            })?;
            Ok(Call {
                method: Method::Post,
                url: self.url.clone(),
                headers: notice.headers(secret.expose_secret(), self.clock.now()),
                body: Body::Text(notice.body.clone()),
            })
        };
        let hosts = AllowedHosts::of([&self.url]);
        let fetch = Fetch {
            limit: &limit,
            hosts: &hosts,
            credential: &*self.secret,
            traffic: &traffic,
            call: &call,
            // The receiver knows a notice by its id.
            safe_to_repeat: true,
            // The next sweep is the next try.
            max_retries: Some(0),
            judge: None,
            spool: None,
        };
        tokio::select! {
            answer = self.gate.fetch(&fetch) => match answer {
                Ok(_) => Ok(()),
                Err(error) => Err(SendFault(self.said(&host, &error))),
            },
            () = self.clock.sleep(PATIENCE) => Err(SendFault(format!("{host} did not answer in {} s", PATIENCE.as_secs()))),
        }
    }
}

impl WebhookOut {
    fn said(&self, host: &str, error: &ConnectorError) -> String {
        // Whole messages hold the path; these two kinds say what an operator has to know and cannot say otherwise.
        match error.kind {
            ErrorKind::Policy | ErrorKind::Settings | ErrorKind::Unauthorized => {
                let path = self.url.path();
                let text = if path.len() > 1 { error.message.replace(path, "/…") } else { error.message.clone() };
                format!("{host}: {text}")
            }
            _ => format!("{host}: {}", error.kind.code()),
        }
    }
}
