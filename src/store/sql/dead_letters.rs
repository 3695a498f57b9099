//! Dead letters as a queue to work off: reading, grouping, discarding. Opening and resolving them is a page's.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use async_trait::async_trait;
use sqlx::SqlSafeStr as _;

use super::{
    Db, bulk,
    cells::Cells,
    declare::note,
    dialect::At,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::ids::{ConnectionId, DeadLetterId, JobId, RawEventId, RunId},
    store::{
        StoreError,
        catalogue::AdminAction,
        dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterStore},
        lease::{DueJob, Shard},
    },
};

/// Groups of single connections that are put together.
const MOST_GROUPS: u32 = 10_000;

macro_rules! filtered {
    () => {
        "from integration_sync_errors e
         join integration_connections c on c.id = e.connection_id
         join core_clients cl on cl.id = e.client_id
         where (? is null or c.connection_key = ?) and (? is null or e.stream = ?) and (? is null or e.status = ?)
           and (? is null or e.fingerprint = ?) and (? = 0 or e.open_slot = 1) and (? is null or e.last_seen_at >= ?)"
    };
}
const LIST: &str = concat!("select e.*, c.connection_key, cl.client_key ", filtered!(), " order by e.id desc limit ?");
const LIST_THESE: &str = concat!("select e.*, c.connection_key, cl.client_key ", filtered!(), " and e.id in (");
/// By connection; put together over all of them afterwards.
const GROUPS: &str = concat!(
    "select e.fingerprint, e.error_code, e.stage, c.provider_key, e.stream, c.connection_key, count(*) as letters,
            cast(sum(case when e.status = 'exhausted' then 1 else 0 end) as signed) as exhausted,
            min(e.first_seen_at) as first_seen_at, max(e.last_seen_at) as last_seen_at, max(e.id) as example_id ",
    filtered!(),
    " and e.open_slot = 1
     group by e.fingerprint, e.error_code, e.stage, c.provider_key, e.stream, c.connection_key
     order by letters desc, e.fingerprint, c.connection_key limit ?"
);
const PAYLOAD: &str = "select r.payload from integration_sync_errors e
    join integration_raw_events r on r.id = e.raw_event_id and r.connection_id = e.connection_id where e.id = ?";
/// The run that saw it fail last tells through which version of the map.
const RELEASE: &str = concat!(
    "update integration_sync_errors set status = 'retry_scheduled', next_retry_at = ",
    now!(),
    " where status = 'open' and stage in ('map', 'write') and raw_event_id is not null and stream = ?
       and connection_id in (select c.id from integration_connections c where c.provider_key = ?)
       and exists (select 1 from integration_sync_runs r
                   where r.id = integration_sync_errors.run_id and coalesce(r.mapping_version, '') <> ?)"
);
/// What is due is few: through ix_integration_sync_errors_due.
const DUE_RETRIES: &str = concat!(
    "select j.id, j.connection_id, j.client_id, c.connection_key, j.stream, j.fence, d.due_at as next_run_at,
            j.lease_owner, case when 1 = 0 then j.lease_until end as leased_until ",
    jobs_with_owners!(),
    " join (select e.job_id, min(e.next_retry_at) as due_at from integration_sync_errors e
            where e.status = 'retry_scheduled' and e.raw_event_id is not null and e.next_retry_at <= ",
    now!(),
    " group by e.job_id) d on d.job_id = j.id
     where j.status = 'active' and ",
    not_leased!(),
    " and ",
    runnable!(),
    " and j.id % ? = ? order by d.due_at, j.id limit ?"
);
const DISCARD: &str = concat!(
    "update integration_sync_errors set status = 'discarded', resolved_at = ",
    now!(),
    ", resolved_by = ?, next_retry_at = null where open_slot = 1 and id in ("
);

#[async_trait]
impl DeadLetterStore for Store {
    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError> {
        self.read("list dead letters", async {
            let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
            if filter.ids.is_empty() {
                return self.fetch(LIST.into_sql_str(), filter, &[]).await;
            }
            let mut letters = Vec::new();
            for now in filter.ids.chunks(bulk::MOST_ROWS) {
                let text = bulk::in_list(LIST_THESE, bulk::slots_for(now.len()), ") order by e.id desc limit ?");
                letters.extend(self.fetch(text, filter, now).await?);
            }
            letters.sort_by_key(|letter| std::cmp::Reverse(letter.id));
            letters.truncate(limit);
            Ok(letters)
        })
        .await
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        let filter = DeadLetterFilter { ids: vec![id], limit: 1, ..DeadLetterFilter::default() };
        Ok(self.dead_letters(&filter).await?.pop())
    }

    async fn dead_letter_groups(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, StoreError> {
        self.read("group dead letters", async {
            let all = DeadLetterFilter { limit: MOST_GROUPS, ..filter.clone() };
            let rows = self.filtered(GROUPS.into_sql_str(), &all, &[]).await?;
            let found = rows.iter().map(|row| group(&Cells::of("integration_sync_errors", row)));
            let mut groups = together(found.collect::<Result<_, Fault>>()?);
            groups.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
            let ids: Vec<DeadLetterId> = groups.iter().map(|group| group.example_id).collect();
            for now in ids.chunks(bulk::MOST_ROWS) {
                let text = bulk::in_list(LIST_THESE, bulk::slots_for(now.len()), ") order by e.id desc limit ?");
                for letter in self.fetch(text, &all, now).await? {
                    if let Some(group) = groups.iter_mut().find(|group| group.example_id == letter.id) {
                        (group.example, group.remedy) = (letter.message_internal, letter.remedy);
                    }
                }
            }
            Ok(groups)
        })
        .await
    }

    async fn dead_letter_payload(&self, id: DeadLetterId) -> Result<Option<String>, StoreError> {
        self.read("read the payload of a dead letter", async {
            let row = self.inner.row(sqlx::query(PAYLOAD).bind(id.0)).await?;
            row.map(|row| Cells::of("integration_raw_events", &row).text("payload")).transpose()
        })
        .await
    }

    async fn release_for_map(&self, provider_key: &str, stream: &str, version: &str) -> Result<u64, StoreError> {
        let told: Arc<[String; 3]> = Arc::new([provider_key, stream, version].map(str::to_owned));
        self.write("release dead letters", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let [provider_key, stream, version] = &*told;
                let query = sqlx::query::<Db>(RELEASE).bind(stream).bind(provider_key).bind(version);
                let released = query.execute(&mut *session).await?.rows_affected();
                if released == 0 {
                    return Ok(Outcome::RollBack(0));
                }
                let action = AdminAction {
                    actor: "tidegate".to_owned(),
                    action: "dead_letter.release".to_owned(),
                    subject_type: "field_map".to_owned(),
                    subject_key: format!("{provider_key}/{stream}"),
                    reason: Some(format!("version {version} of the field map is in force")),
                    before: Some(serde_json::json!({"open": released})),
                    after: Some(serde_json::json!({"status": "retry_scheduled"})),
                };
                note(session, &action).await?;
                Ok(Outcome::Commit(released))
            })
        })
        .await
    }

    async fn due_retries(&self, limit: u32, shard: Option<Shard>) -> Result<Vec<DueJob>, StoreError> {
        self.due("look for dead letters that are due", DUE_RETRIES, limit, shard).await
    }

    async fn discard(&self, ids: &[DeadLetterId], by: &str, action: &AdminAction) -> Result<u64, StoreError> {
        let told = Arc::new((ids.to_vec(), by.to_owned(), action.clone()));
        self.write("discard dead letters", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let (ids, by, action) = &*told;
                let mut discarded = 0;
                for now in ids.chunks(bulk::MOST_ROWS) {
                    let slots = bulk::slots_for(now.len());
                    let mut query = sqlx::query::<Db>(bulk::in_list(DISCARD, slots, ")")).bind(by);
                    for id in bulk::padded(now, slots) {
                        query = query.bind(id.0);
                    }
                    discarded += query.execute(&mut *session).await?.rows_affected();
                }
                if discarded == 0 {
                    return Ok(Outcome::RollBack(0));
                }
                note(session, action).await?;
                Ok(Outcome::Commit(discarded))
            })
        })
        .await
    }
}

impl Store {
    async fn fetch(
        &self,
        text: sqlx::SqlStr,
        filter: &DeadLetterFilter,
        ids: &[DeadLetterId],
    ) -> Result<Vec<DeadLetter>, Fault> {
        let rows = self.filtered(text, filter, ids).await?;
        rows.iter().map(|row| letter(&Cells::of("integration_sync_errors", row))).collect()
    }

    async fn filtered(
        &self,
        text: sqlx::SqlStr,
        filter: &DeadLetterFilter,
        ids: &[DeadLetterId],
    ) -> Result<Vec<super::Row>, Fault> {
        let status = filter.status.map(|status| status.as_str());
        let mut query = sqlx::query::<Db>(text)
            .bind(&filter.connection_key)
            .bind(&filter.connection_key)
            .bind(&filter.stream)
            .bind(&filter.stream)
            .bind(status)
            .bind(status)
            .bind(&filter.fingerprint)
            .bind(&filter.fingerprint)
            .bind(i64::from(filter.waiting))
            .bind(filter.since.map(At))
            .bind(filter.since.map(At));
        // No ids, no list.
        let slots = if ids.is_empty() { 0 } else { bulk::slots_for(ids.len()) };
        for id in bulk::padded(ids, slots) {
            query = query.bind(id.0);
        }
        self.inner.rows(query.bind(i64::from(filter.limit))).await
    }
}

/// A group of one connection; its example is looked up by its id.
fn group(cells: &Cells<'_>) -> Result<DeadLetterGroup, Fault> {
    Ok(DeadLetterGroup {
        fingerprint: cells.text("fingerprint")?,
        error_code: cells.text("error_code")?,
        stage: cells.word("stage")?,
        provider_key: cells.text("provider_key")?,
        stream: cells.text("stream")?,
        connections: vec![cells.text("connection_key")?],
        count: cells.int("letters")?,
        exhausted: cells.int("exhausted")?,
        first_seen_at: cells.at("first_seen_at")?,
        last_seen_at: cells.at("last_seen_at")?,
        example: String::new(),
        example_id: DeadLetterId(cells.int("example_id")?),
        remedy: String::new(),
    })
}

/// Puts the groups of several connections together; largest first.
fn together(parts: Vec<DeadLetterGroup>) -> Vec<DeadLetterGroup> {
    let mut groups: BTreeMap<[String; 4], DeadLetterGroup> = BTreeMap::new();
    for part in parts {
        let key = [&part.provider_key, &part.stream, &part.error_code, &part.fingerprint].map(String::clone);
        match groups.entry(key) {
            Entry::Vacant(free) => {
                free.insert(part);
            }
            Entry::Occupied(mut taken) => {
                let group = taken.get_mut();
                group.connections.extend(part.connections);
                group.count += part.count;
                group.exhausted += part.exhausted;
                group.first_seen_at = group.first_seen_at.min(part.first_seen_at);
                group.last_seen_at = group.last_seen_at.max(part.last_seen_at);
                group.example_id = group.example_id.max(part.example_id);
            }
        }
    }
    let mut groups: Vec<DeadLetterGroup> = groups.into_values().collect();
    for group in &mut groups {
        group.connections.sort_unstable();
    }
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
    groups
}

fn letter(cells: &Cells<'_>) -> Result<DeadLetter, Fault> {
    Ok(DeadLetter {
        id: DeadLetterId(cells.int("id")?),
        run_id: RunId(cells.int("run_id")?),
        job_id: JobId(cells.int("job_id")?),
        connection_id: ConnectionId(cells.int("connection_id")?),
        connection_key: cells.text("connection_key")?,
        client_key: cells.text("client_key")?,
        origin: cells.word("origin")?,
        stage: cells.word("stage")?,
        stream: cells.text("stream")?,
        external_id: cells.text("external_id")?,
        raw_event_id: cells.opt_int("raw_event_id")?.map(RawEventId),
        fingerprint: cells.text("fingerprint")?,
        error_code: cells.text("error_code")?,
        message_internal: cells.text("message_internal")?,
        message_client_safe: cells.text("message_client_safe")?,
        remedy: cells.text("remedy")?,
        payload_hash: cells.text("payload_hash")?,
        attempts: cells.int("attempts")?,
        retries: cells.int("retries")?,
        first_seen_at: cells.at("first_seen_at")?,
        last_seen_at: cells.at("last_seen_at")?,
        next_retry_at: cells.opt_at("next_retry_at")?,
        status: cells.word("status")?,
        resolved_at: cells.opt_at("resolved_at")?,
        resolved_by: cells.opt_text("resolved_by")?,
    })
}
