//! Dead letters as a queue to work off: reading, grouping, discarding. Opening and resolving them is a page's.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlSafeStr as _;

use super::{
    Db, bulk,
    cells::Cells,
    declare::note,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::ids::{ConnectionId, DeadLetterId, JobId, RawEventId, RunId},
    store::{
        StoreError,
        catalogue::AdminAction,
        dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterGroup, DeadLetterStore},
    },
};

macro_rules! filtered {
    () => {
        "from integration_sync_errors e
         join integration_connections c on c.id = e.connection_id
         join core_clients cl on cl.id = e.client_id
         where (? is null or c.connection_key = ?) and (? is null or e.stream = ?) and (? is null or e.status = ?)
           and (? is null or e.fingerprint = ?)"
    };
}
const LIST: &str = concat!("select e.*, c.connection_key, cl.client_key ", filtered!(), " order by e.id desc limit ?");
const LIST_THESE: &str = concat!("select e.*, c.connection_key, cl.client_key ", filtered!(), " and e.id in (");
const GROUPS: &str = concat!(
    "select e.fingerprint, e.error_code, e.stream, c.connection_key, count(*) as letters,
            min(e.first_seen_at) as first_seen_at, max(e.last_seen_at) as last_seen_at,
            max(e.message_internal) as example, max(e.remedy) as remedy ",
    filtered!(),
    " and e.open_slot = 1
     group by e.fingerprint, e.error_code, e.stream, c.connection_key
     order by letters desc, e.fingerprint, c.connection_key limit ?"
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
            let rows = self.filtered(GROUPS.into_sql_str(), filter, &[]).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("integration_sync_errors", row);
                    Ok(DeadLetterGroup {
                        fingerprint: cells.text("fingerprint")?,
                        error_code: cells.text("error_code")?,
                        stream: cells.text("stream")?,
                        connection_key: cells.text("connection_key")?,
                        count: cells.int("letters")?,
                        first_seen_at: cells.at("first_seen_at")?,
                        last_seen_at: cells.at("last_seen_at")?,
                        example: cells.text("example")?,
                        remedy: cells.text("remedy")?,
                    })
                })
                .collect()
        })
        .await
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
            .bind(&filter.fingerprint);
        // No ids, no list.
        let slots = if ids.is_empty() { 0 } else { bulk::slots_for(ids.len()) };
        for id in bulk::padded(ids, slots) {
            query = query.bind(id.0);
        }
        self.inner.rows(query.bind(i64::from(filter.limit))).await
    }
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
        first_seen_at: cells.at("first_seen_at")?,
        last_seen_at: cells.at("last_seen_at")?,
        next_retry_at: cells.opt_at("next_retry_at")?,
        status: cells.word("status")?,
        resolved_at: cells.opt_at("resolved_at")?,
        resolved_by: cells.opt_text("resolved_by")?,
    })
}
