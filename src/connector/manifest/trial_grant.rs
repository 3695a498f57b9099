//! How a token service answers on trial.

use serde_json::{Value, json};

use super::{
    auth::Auth,
    engine::Template,
    plan::UrlPlan,
    trial::{Trial, pattern},
};
use crate::domain::clock::Timestamp;

/// How an answer with a token of the provider's token service looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// A pattern of its address.
    pub address: String,
    pub answer: Value,
}

impl Trial {
    /// How the token service answers, with this token that is good for so long; `None`: nothing is fetched.
    pub fn grant(&self, token: &str, good_for: u64, now: Timestamp) -> Option<Grant> {
        self.grant_of(&self.plan().request.auth, token, good_for, now)
    }

    fn grant_of(&self, auth: &Auth, token: &str, good_for: u64, now: Timestamp) -> Option<Grant> {
        let text = |template: &Template| self.loaded.engine.text(template, &self.scope).unwrap_or_default();
        match auth {
            Auth::Granted(oauth) => {
                let until = if oauth.expires_at {
                    json!(now.plus(std::time::Duration::from_secs(good_for)).to_iso())
                } else {
                    json!(good_for)
                };
                let mut answer = json!({text(&oauth.access_token): token, text(&oauth.expires_in): until});
                if let Some(updates) = &oauth.updates {
                    answer[&updates.refresh_token_name] = json!("a-refresh-token-that-follows");
                }
                Some(Grant { address: pattern(&text(oauth.endpoint.as_ref()?)), answer })
            }
            Auth::Session(session) => {
                let mut answer = json!(token);
                for part in session.path.iter().rev() {
                    answer = json!({text(part): answer});
                }
                let address = match &session.login.url {
                    UrlPlan::Whole(url) => text(url),
                    UrlPlan::Joined { base, path } => {
                        format!("{}/{}", text(base), path.as_ref().map(text).unwrap_or_default())
                    }
                };
                Some(Grant { address: pattern(&address), answer })
            }
            Auth::LegacySession(session) => {
                let address = pattern(&format!("{}{}", text(&session.base), text(&session.login_url)));
                Some(Grant { address, answer: json!({text(&session.response_key): token}) })
            }
            Auth::Chosen { among, .. } => among.iter().find_map(|(_, auth)| self.grant_of(auth, token, good_for, now)),
            Auth::None | Auth::Bearer(_) | Auth::Key { .. } | Auth::Basic { .. } | Auth::Jwt(_) => None,
        }
    }
}
