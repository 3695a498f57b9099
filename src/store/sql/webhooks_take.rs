//! The one transaction that makes a batch of deliveries durable: which are there already, raw events of those that carry a record,
//! then the deliveries.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sqlx::Row as _;

use super::{
    Connection as Session, Db,
    bulk::{self, Insert},
    dialect,
    dialect::At,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::status::{DeliveryStatus, Origin, RawStatus},
    store::{
        StoreError,
        webhooks::{Cargo, CarriedRecord, NewDelivery, Taken},
    },
};

const THERE: &str =
    "select delivery_id from event_webhook_events where connection_id = ? and client_id = ? and delivery_id in (";
const INSERT_RAW: Insert<'_> = Insert {
    table: "integration_raw_events",
    shared: &["run_id", "origin", "status"],
    own: &["connection_id", "client_id", "stream", "source_label", "external_id", "payload", "payload_hash"],
    stamped: &["received_at"],
    rewrite: None,
};
const INSERT: Insert<'_> = Insert {
    table: "event_webhook_events",
    shared: &[],
    own: &[
        "connection_id",
        "client_id",
        "provider_key",
        "delivery_id",
        "event_name",
        "payload_summary",
        "status",
        "occurred_at",
        "source_updated_at",
        "stream",
        "external_id",
        "raw_event_id",
        "reason",
    ],
    stamped: &["received_at"],
    rewrite: None,
};
/// The run of a raw event that no run has decided yet.
const NO_RUN: i64 = 0;

/// Writes a batch, and what breaks a constraint by itself.
pub(super) async fn take(store: &Store, deliveries: Arc<Vec<NewDelivery>>) -> Result<Vec<Taken>, StoreError> {
    match batch(store, Arc::clone(&deliveries)).await {
        Err(StoreError::Constraint { .. } | StoreError::Database { .. }) => {}
        answer => return answer,
    }
    let mut taken = Vec::with_capacity(deliveries.len());
    for delivery in deliveries.iter() {
        let alone = Arc::new(vec![delivery.clone()]);
        let mut answer = batch(store, Arc::clone(&alone)).await;
        if matches!(answer, Err(StoreError::Constraint { .. })) {
            // Another process may have written the same delivery in between: then it is there now.
            answer = batch(store, alone).await;
        }
        match answer {
            Ok(one) => taken.extend(one),
            Err(StoreError::Constraint { .. } | StoreError::Database { .. }) => taken.push(Taken::Refused),
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

async fn batch(store: &Store, deliveries: Arc<Vec<NewDelivery>>) -> Result<Vec<Taken>, StoreError> {
    store
        .write("take deliveries", Patience::Short, move |session, _| {
            let deliveries = Arc::clone(&deliveries);
            Box::pin(async move { write(session, &deliveries).await.map(Outcome::Commit) })
        })
        .await
}

async fn write(session: &mut Session, deliveries: &[NewDelivery]) -> Result<Vec<Taken>, Fault> {
    let mut there = there(session, deliveries).await?;
    let mut taken = Vec::with_capacity(deliveries.len());
    let mut fresh: Vec<&NewDelivery> = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if there.insert((delivery.connection_id.0, delivery.delivery_id.clone())) {
            taken.push(Taken::New);
            fresh.push(delivery);
        } else {
            taken.push(Taken::Duplicate);
        }
    }
    let raw_ids = raw(session, &fresh).await?;
    insert(session, &fresh, &raw_ids).await?;
    Ok(taken)
}

/// Which of them are durable already: pairs of connection and delivery id.
async fn there(session: &mut Session, deliveries: &[NewDelivery]) -> Result<HashSet<(i64, String)>, Fault> {
    let mut asked: HashMap<(i64, i64), Vec<&str>> = HashMap::new();
    for delivery in deliveries {
        asked.entry((delivery.connection_id.0, delivery.client_id.0)).or_default().push(&delivery.delivery_id);
    }
    let mut found = HashSet::new();
    for ((connection, client), mut ids) in asked {
        ids.sort_unstable();
        ids.dedup();
        for now in ids.chunks(bulk::MOST_ROWS) {
            let slots = bulk::slots_for(now.len());
            let mut query = sqlx::query::<Db>(bulk::in_list(THERE, slots, ")")).bind(connection).bind(client);
            for id in bulk::padded(now, slots) {
                query = query.bind(*id);
            }
            for row in query.fetch_all(&mut *session).await? {
                found.insert((connection, row.try_get(0)?));
            }
        }
    }
    Ok(found)
}

/// Raw events of those that carry a record; gives an id, or none, for each delivery.
async fn raw(session: &mut Session, fresh: &[&NewDelivery]) -> Result<Vec<Option<i64>>, Fault> {
    let mut ids = vec![None; fresh.len()];
    let carrying: Vec<(usize, &NewDelivery, &str, &CarriedRecord)> = fresh
        .iter()
        .enumerate()
        .filter_map(|(place, delivery)| match &delivery.cargo {
            Cargo::Record { stream, record } => Some((place, *delivery, stream.as_str(), record)),
            Cargo::Fetch { .. } | Cargo::Nothing { .. } => None,
        })
        .collect();
    let step = if carrying.len() > 1 { dialect::id_step(session).await? } else { 1 };
    let mut left = carrying.as_slice();
    while !left.is_empty() {
        let rows = bulk::rows_at_once_by_size(left.iter().map(|(.., record)| record.payload.len()), left.len());
        let (now, rest) = left.split_at(rows);
        left = rest;
        let query = bulk::bind_rows(
            sqlx::query::<Db>(INSERT_RAW.text(rows)),
            now.iter(),
            |query| query.bind(NO_RUN).bind(Origin::Webhook.as_str()).bind(RawStatus::Pending.as_str()),
            |query, (_, delivery, stream, record)| {
                Ok::<_, Fault>(
                    query
                        .bind(delivery.connection_id.0)
                        .bind(delivery.client_id.0)
                        .bind(*stream)
                        .bind(&delivery.source_label)
                        .bind(&record.external_id)
                        .bind(&record.payload)
                        .bind(&record.payload_hash),
                )
            },
        )?;
        let first = dialect::first_id(&query.execute(&mut *session).await?, rows);
        for ((place, ..), id) in now.iter().zip((0..).map(|n: i64| first + n * step)) {
            ids[*place] = Some(id);
        }
    }
    Ok(ids)
}

async fn insert(session: &mut Session, fresh: &[&NewDelivery], raw_ids: &[Option<i64>]) -> Result<(), Fault> {
    let pairs: Vec<(&NewDelivery, Option<i64>)> = fresh.iter().copied().zip(raw_ids.iter().copied()).collect();
    let mut left = pairs.as_slice();
    while !left.is_empty() {
        let rows = bulk::rows_at_once(left.len());
        let (now, rest) = left.split_at(rows);
        left = rest;
        let query = bulk::bind_rows(
            sqlx::query::<Db>(INSERT.text(rows)),
            now.iter(),
            |query| query,
            |query, (delivery, raw_id)| {
                let (status, stream, record, reason) = match &delivery.cargo {
                    Cargo::Record { stream, record } => (DeliveryStatus::Received, Some(stream), Some(record), None),
                    Cargo::Fetch { stream } => (DeliveryStatus::Received, Some(stream), None, None),
                    Cargo::Nothing { reason } => (DeliveryStatus::Ignored, None, None, Some(reason)),
                };
                Ok::<_, Fault>(
                    query
                        .bind(delivery.connection_id.0)
                        .bind(delivery.client_id.0)
                        .bind(&delivery.provider_key)
                        .bind(&delivery.delivery_id)
                        .bind(&delivery.event_name)
                        .bind(&delivery.summary)
                        .bind(status.as_str())
                        .bind(delivery.occurred_at.map(At))
                        .bind(record.and_then(|record| record.source_updated_at).map(At))
                        .bind(stream)
                        .bind(record.map(|record| &record.external_id).or(delivery.object_id.as_ref()))
                        .bind(*raw_id)
                        .bind(reason),
                )
            },
        )?;
        query.execute(&mut *session).await?;
    }
    Ok(())
}
