//! The sweep over what comes in by webhook: endpoints, and the deliveries behind them.

use std::{sync::Arc, time::Duration};

use tidegate::{
    domain::{
        ids::{ClientId, ConnectionId, DeliveryId},
        record::text_hash,
    },
    store::{
        SharedStore,
        webhooks::{Cargo, CarriedRecord, NewDelivery, Taken},
    },
};

use crate::{
    store_ground::act,
    sweep_ground::{Entry::Global, Line, Side, refused},
};

/// A delivery that carries a record of contacts.
fn delivery(connection_id: ConnectionId, client_id: ClientId, key: &str, cargo: Cargo) -> NewDelivery {
    NewDelivery {
        connection_id,
        client_id,
        provider_key: "hubspot".to_owned(),
        source_label: "CRM".to_owned(),
        delivery_id: format!("msg of {key}"),
        event_name: format!("contact of {key}"),
        summary: format!("told {key}"),
        occurred_at: None,
        object_id: None,
        cargo,
    }
}

fn record(key: &str) -> Cargo {
    Cargo::Record {
        stream: "contacts".to_owned(),
        record: CarriedRecord {
            external_id: format!("{key}-hook"),
            payload: format!("{{\"name\":\"{key}\"}}"),
            payload_hash: text_hash(key),
            source_updated_at: None,
        },
    }
}

/// A path, a record and a wish to fetch that wait, of one client; gives the delivery with the record.
pub async fn lay(store: &SharedStore, key: &str, side: &Side) -> DeliveryId {
    let (connection, client) = (side.connection, side.client);
    let path = text_hash(&format!("the path of {key}"));
    store.put_webhook_path(connection, client, &path, &act("connection.webhook_path")).await.unwrap();
    let hint = Cargo::Fetch { stream: "deals".to_owned() };
    let two = vec![
        delivery(connection, client, key, record(key)),
        delivery(connection, client, &format!("{key} again"), hint),
    ];
    assert_eq!(store.take_deliveries(Arc::new(two)).await.unwrap(), [Taken::New, Taken::New]);
    store.pending_deliveries(connection, client, "contacts", 0, 1).await.unwrap()[0].id
}

pub fn lines() -> Vec<Line> {
    vec![
        ("WebhookStore::webhook_endpoints", Global("the door knows the paths of all clients; a path is the context")),
        foreign!("WebhookStore::webhook_endpoint", |g| {
            for (connection, client) in g.crossed() {
                assert_eq!(g.store.webhook_endpoint(connection, client).await.unwrap(), None);
            }
            g.store.webhook_endpoint(g.acme.connection, g.acme.client).await.unwrap().unwrap()
        }),
        foreign!("WebhookStore::put_webhook_path", |g| {
            let mut refusals = Vec::new();
            for (connection, client) in g.crossed() {
                let path = text_hash("a path for another");
                let act = act("connection.webhook_path");
                let put = g.store.put_webhook_path(connection, client, &path, &act).await;
                refusals.push(refused(put).to_string());
            }
            refusals
        }),
        ("WebhookStore::count_at_endpoints", Global("numbers of the door's own list of endpoints")),
        foreign!("WebhookStore::take_deliveries", |g| {
            for (connection, client) in g.crossed() {
                let forged = vec![delivery(connection, client, "forged", record("forged"))];
                assert_eq!(g.store.take_deliveries(Arc::new(forged)).await.unwrap(), [Taken::Refused]);
            }
        }),
        ("WebhookStore::waiting_deliveries", Global("a worker looks at the deliveries of all clients")),
        foreign!("WebhookStore::pending_deliveries", |g| {
            for (connection, client) in g.crossed() {
                let found = g.store.pending_deliveries(connection, client, "contacts", 0, 100).await.unwrap();
                assert!(found.is_empty(), "{found:?}");
            }
            let mine = g.store.pending_deliveries(g.acme.connection, g.acme.client, "contacts", 0, 100).await.unwrap();
            assert_eq!(mine.len(), 1);
            mine
        }),
        foreign!("WebhookStore::want_fetch", |g| {
            for (connection, client) in g.crossed() {
                assert!(!g.store.want_fetch(connection, client, "deals", Duration::ZERO).await.unwrap());
            }
        }),
        foreign!("WebhookStore::put_off_deliveries", |g| {
            for (connection, client) in g.crossed() {
                let put_off = g.store.put_off_deliveries(connection, client, "contacts", Duration::ZERO, 1, "forged");
                assert_eq!(put_off.await.unwrap(), 0);
            }
        }),
        foreign!("WebhookStore::fail_fetches", |g| {
            for (connection, client) in g.crossed() {
                assert_eq!(g.store.fail_fetches(connection, client, "deals", "forged").await.unwrap(), 0);
            }
        }),
        ("WebhookStore::waiting_by_provider", Global("numbers by provider, for a scrape")),
        foreign!("WebhookStore::deliveries", |g| {
            for (connection, client) in g.crossed() {
                assert!(g.store.deliveries(connection, client, 100).await.unwrap().is_empty());
            }
            g.store.deliveries(g.acme.connection, g.acme.client, 100).await.unwrap()
        }),
    ]
}
