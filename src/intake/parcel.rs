//! From an event that was read to a delivery that can be stored.
//!
//! Owns the bounds of its texts. Whose it is comes from the endpoint, never from what was sent (P15).

use crate::{
    domain::record::{EXTERNAL_ID_CHARS, payload_hash, text_hash},
    store::webhooks::{Cargo, CarriedRecord, Endpoint, NewDelivery},
    webhook::{Carries, Delivery},
};

/// Longest summary and reason that a row keeps, in characters.
const SUMMARY_CHARS: usize = 500;
const REASON_CHARS: usize = 300;
const NAME_CHARS: usize = 190;

/// The delivery of an endpoint.
pub(super) fn of(endpoint: &Endpoint, delivery: Delivery) -> NewDelivery {
    let cargo = match delivery.carries {
        Carries::Record { stream, external_id, payload, source_updated_at } => Cargo::Record {
            stream,
            record: CarriedRecord {
                external_id: key(external_id),
                payload_hash: payload_hash(&payload),
                payload: payload.to_string(),
                source_updated_at,
            },
        },
        Carries::Fetch { stream } => Cargo::Fetch { stream },
        Carries::Nothing { reason } => Cargo::Nothing { reason: cut(reason, REASON_CHARS) },
    };
    NewDelivery {
        connection_id: endpoint.connection_id,
        client_id: endpoint.client_id,
        provider_key: endpoint.provider_key.clone(),
        source_label: endpoint.source_label.clone(),
        delivery_id: key(delivery.delivery_id),
        event_name: cut(delivery.event_name, NAME_CHARS),
        summary: cut(delivery.summary, SUMMARY_CHARS),
        occurred_at: delivery.occurred_at,
        object_id: delivery.object_id.map(key),
        cargo,
    }
}

/// Nothing follows from it.
pub(super) fn is_ignored(delivery: &NewDelivery) -> bool {
    matches!(delivery.cargo, Cargo::Nothing { .. })
}

fn cut(text: String, longest: usize) -> String {
    if text.len() <= longest { text } else { text.chars().take(longest).collect() }
}

/// A key that is too long goes by its beginning and its hash.
fn key(text: String) -> String {
    if text.chars().count() <= EXTERNAL_ID_CHARS {
        return text;
    }
    let begin: String = text.chars().take(EXTERNAL_ID_CHARS - 40).collect();
    format!("{begin}...{}", text_hash(&text).get(..32).unwrap_or_default())
}
