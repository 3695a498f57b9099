//! The one transaction that a page is (P1).
//!
//! Order: the lease with the cursor (a stale holder stops here), what is known, the decision, rows (`page_rows`, `page_records`, `page_letters`), the
//! ledger,
//! the run's counts. An unchanged page is two UPDATEs, one SELECT and one INSERT.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use super::{
    Connection as Session, Db,
    cells::{Cells, json_text, micros},
    dialect::At,
    fault::Fault,
    page_letters, page_records, page_refusals, page_rows, raw, repairs,
    store::{Attempt, Lent, Outcome, Patience, Statement, Store},
    webhooks_settle,
};
use crate::{
    domain::{
        counts::{Counts, Traffic},
        cursor::{Cursor, Position},
        ids::ConnectionId,
    },
    store::{
        StoreError,
        page::{
            Decide, Known, KnownRecords, PageHead, PageReceipt, PageScope, PageStore, PageWrites, RawEvent, RowRefusal,
        },
    },
};

/// Proves the lease and whose job it is, makes it last, and moves cursor and resume position when there is something to move.
const HOLD: &str = concat!(
    "update integration_sync_jobs
     set lease_until = ",
    now_plus_micros!(),
    ", cursor_state = coalesce(?, cursor_state), cursor_order = coalesce(?, cursor_order),
         resume_position = case when ? = 1 then ? else resume_position end,
         -- A committed page is progress: only claims that never moved count towards a quarantine (P9).
         attempts = 0
     where id = ? and connection_id = ? and client_id = ? and fence = ? and term_id = ? and lease_until > ",
    now!(),
    "
       -- P2: an order that is known never falls.
       and (? is null or cursor_order is null or cursor_order <= ?)"
);
const STILL_OURS: &str = concat!(
    "select id from integration_sync_jobs
     where id = ? and connection_id = ? and client_id = ? and fence = ? and term_id = ? and lease_until > ",
    now!()
);
const INSERT_PAGE: &str = concat!(
    "insert into integration_sync_pages
         (run_id, page_no, page_hash, requests, retries, rate_limited_ms, bytes_in, records_seen, records_created,
          records_updated, records_unchanged, records_duplicate, records_ignored, records_failed, cursor_after, story,
          started_at, committed_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ",
    now!(),
    ")"
);
const PAGE: &str = "select page_no as id, page_hash, cursor_after, records_seen, records_created, records_updated,
    records_unchanged, records_duplicate, records_ignored, records_failed
    from integration_sync_pages
    where run_id = (select r.id from integration_sync_runs r where r.id = ? and r.job_id = ?) and page_no = ?";
const COUNT_PAGE: &str = "update integration_sync_runs
    set pages = pages + 1, requests = requests + ?, retries = retries + ?, rate_limited_ms = rate_limited_ms + ?,
        bytes_in = bytes_in + ?, records_seen = records_seen + ?, records_created = records_created + ?,
        records_updated = records_updated + ?, records_unchanged = records_unchanged + ?,
        records_duplicate = records_duplicate + ?, records_ignored = records_ignored + ?,
        records_failed = records_failed + ?,
        window_start = case when ? is null or window_start < ? then window_start else ? end,
        window_end = case when ? is null or window_end > ? then window_end else ? end
    where id = ? and job_id = ? and fence = ? and status = 'running'";

#[async_trait]
impl PageStore for Store {
    async fn commit_page(
        &self,
        scope: Arc<PageScope>,
        head: Arc<PageHead>,
        decide: Decide,
    ) -> Result<PageReceipt, StoreError> {
        // Learned from the decision when it wants the cursor kept; the transaction then begins anew without it.
        let keep = Arc::new(AtomicBool::new(false));
        let (suspect, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        self.write("commit a page", Patience::Outage, move |session, attempt| {
            let page = Page {
                scope: Arc::clone(&scope),
                head: Arc::clone(&head),
                decide: Arc::clone(&decide),
                keep: Arc::clone(&keep),
                suspect: Arc::clone(&suspect),
                refused: Arc::clone(&refused),
            };
            Box::pin(async move { page.commit(session, attempt).await })
        })
        .await
    }

    async fn known(
        &self,
        connection: ConnectionId,
        object_type: &str,
        external_ids: &[String],
    ) -> Result<KnownRecords, StoreError> {
        self.read("look up known records", async {
            let mut lent = Lent::of(&self.inner.reader).await?;
            let known = page_rows::known(lent.session(), connection.0, object_type, external_ids, "").await?;
            lent.give_back();
            Ok(known)
        })
        .await
    }

    async fn raw_of_links(
        &self,
        connection: ConnectionId,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError> {
        self.read("read raw events", raw::of_links(&self.inner, connection, stream, after, limit)).await
    }

    async fn raw_of_dead_letters(
        &self,
        connection: ConnectionId,
        stream: &str,
        ids: &[i64],
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError> {
        let work = raw::of_dead_letters(&self.inner, connection, stream, ids, after, limit);
        self.read("read raw events of dead letters", work).await
    }

    async fn raw_of_due_letters(
        &self,
        connection: ConnectionId,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError> {
        let work = raw::of_due_letters(&self.inner, connection, stream, after, limit);
        self.read("read raw events of dead letters that are due", work).await
    }
}

/// One try at a page.
struct Page {
    scope: Arc<PageScope>,
    head: Arc<PageHead>,
    decide: Decide,
    keep: Arc<AtomicBool>,
    /// The database refused something of the records.
    suspect: Arc<AtomicBool>,
    /// Learned when it did: which records the page goes without.
    refused: Arc<OnceLock<HashMap<String, RowRefusal>>>,
}

impl Page {
    async fn commit(&self, session: &mut Session, attempt: Attempt) -> Result<Outcome<PageReceipt>, Fault> {
        let kept = self.keep.load(Ordering::Relaxed);
        let held = self.hold(session, kept).await?;
        // Holding the job's row, an earlier try of ours is either in the ledger by now, or will never be.
        if attempt.unsure
            && let Some(receipt) = self.settled(session).await?
        {
            return Ok(Outcome::RollBack(receipt));
        }
        if !held {
            return Err(self.refusal(session).await?);
        }

        let scope = &*self.scope;
        let known =
            page_rows::known(session, scope.connection_id.0, &scope.object_type, &self.head.look_up, for_update!())
                .await?;
        let mut writes = (self.decide)(&known);
        if let Some(refused) = self.refused.get() {
            writes = writes.without(refused, scope.mapping_version.as_deref());
        }
        if !writes.counts.add_up() {
            return Err(Fault::Refused(StoreError::Constraint {
                constraint: "counts add up".to_owned(),
                detail: format!("page {} of run {}", self.head.page_no, scope.run),
            }));
        }
        only_looked_up(&known, &writes)?;
        if self.moves() && writes.hold_cursor != kept {
            self.keep.store(writes.hold_cursor, Ordering::Relaxed);
            return Err(Fault::Again);
        }

        let counts = writes.counts;
        let missed = repairs::candidates(&writes.records, &writes.repairs);
        let PageWrites { raw, records, remapped, dead_letters, resolved, deliveries, voided, left_out, passed, .. } =
            writes;
        let raw_ids = page_rows::raw(session, scope, raw).await?;
        if self.head.close_superseded {
            let written = records.iter().map(|record| record.external_id.as_str());
            page_letters::supersede(session, scope, written.chain(passed.iter().map(String::as_str))).await?;
        }
        page_letters::resolve(session, scope, &resolved).await?;
        if self.suspect.load(Ordering::Relaxed) && self.refused.get().is_none() {
            let refused = page_refusals::find(session, scope, &raw_ids, records).await?;
            // Set once: what is refused after that fails the page.
            let _ = self.refused.set(refused);
            return Err(Fault::Again);
        }
        if let Err(fault) = page_records::records(session, scope, &raw_ids, records).await {
            if self.refused.get().is_none() && page_refusals::of_a_row(&fault).is_some() {
                // One row must not stop the others (P12): the next try looks which one it is.
                self.suspect.store(true, Ordering::Relaxed);
                return Err(Fault::Again);
            }
            return Err(fault);
        }
        page_records::void(session, scope, voided).await?;
        page_records::leave_out(session, scope, &raw_ids, left_out).await?;
        page_rows::restamp(session, scope, &remapped).await?;
        page_letters::dead_letters(session, scope, &raw_ids, dead_letters).await?;
        webhooks_settle::settle(session, scope, &deliveries).await?;

        let cursor = if kept { None } else { self.head.cursor.as_ref() };
        if let Err(error) = self.enter(session, &counts, cursor).await {
            let taken = matches!(&error, sqlx::Error::Database(inner) if inner.is_unique_violation());
            // The page stands in the ledger: the same page again changes nothing (P5), another one is refused.
            return match (taken, self.settled(session).await?) {
                (true, Some(receipt)) => Ok(Outcome::RollBack(receipt)),
                _ => Err(Fault::Sql(error)),
            };
        }
        if self.count(session, &counts).await? == 0 {
            return Err(Fault::Refused(StoreError::Fenced { job: scope.lease.job.0 }));
        }
        if !missed.is_empty() {
            repairs::count(session, scope, &missed).await?;
        }
        Ok(Outcome::Commit(PageReceipt { counts, cursor_moved: cursor.is_some() }))
    }

    /// Whether the page brings a cursor or a resume position.
    fn moves(&self) -> bool {
        self.head.cursor.is_some() || self.head.resume.is_some()
    }

    async fn hold(&self, session: &mut Session, kept: bool) -> Result<bool, Fault> {
        let lease = &self.scope.lease;
        let cursor = if kept { None } else { self.head.cursor.as_ref() };
        let resume: Option<Option<&Position>> = if kept { None } else { self.head.resume.as_ref().map(Option::as_ref) };
        let order = cursor.and_then(|cursor| cursor.order);
        let result = sqlx::query::<Db>(HOLD)
            .bind(micros(self.head.lease_ttl))
            .bind(cursor.map(|cursor| json_text(&cursor.state)))
            .bind(order)
            .bind(i64::from(resume.is_some()))
            .bind(resume.flatten().map(|position| json_text(&position.0)))
            .bind(lease.job.0)
            .bind(self.scope.connection_id.0)
            .bind(self.scope.client_id.0)
            .bind(lease.fence)
            .bind(&lease.term_id)
            .bind(order)
            .bind(order)
            .execute(session)
            .await?;
        Ok(result.rows_affected() == 1)
    }

    /// Why nothing matched.
    async fn refusal(&self, session: &mut Session) -> Result<Fault, Fault> {
        let lease = &self.scope.lease;
        let ours = sqlx::query::<Db>(STILL_OURS)
            .bind(lease.job.0)
            .bind(self.scope.connection_id.0)
            .bind(self.scope.client_id.0)
            .bind(lease.fence)
            .bind(&lease.term_id)
            .fetch_optional(session)
            .await?
            .is_some();
        let job = lease.job.0;
        Ok(Fault::Refused(if ours { StoreError::CursorBack { job } } else { StoreError::Fenced { job } }))
    }

    /// The receipt of this very page, when it is in the ledger.
    async fn settled(&self, session: &mut Session) -> Result<Option<PageReceipt>, Fault> {
        let scope = &*self.scope;
        let query = sqlx::query::<Db>(PAGE).bind(scope.run.0).bind(scope.lease.job.0).bind(self.head.page_no);
        let Some(row) = query.fetch_optional(session).await? else { return Ok(None) };
        let cells = Cells::of("integration_sync_pages", &row);
        if cells.text("page_hash")? != self.head.page_hash {
            return Ok(None);
        }
        Ok(Some(PageReceipt { counts: cells.counts()?, cursor_moved: cells.opt_text("cursor_after")?.is_some() }))
    }

    async fn enter(&self, session: &mut Session, counts: &Counts, cursor: Option<&Cursor>) -> Result<(), sqlx::Error> {
        let head = &*self.head;
        let page = sqlx::query::<Db>(INSERT_PAGE).bind(self.scope.run.0).bind(head.page_no).bind(&head.page_hash);
        bind_costs(page, &head.traffic, counts)
            .bind(cursor.map(|cursor| json_text(&cursor.state)))
            .bind(&head.story)
            .bind(At(head.started_at))
            .execute(session)
            .await?;
        Ok(())
    }

    async fn count(&self, session: &mut Session, counts: &Counts) -> Result<u64, Fault> {
        let head = &*self.head;
        let start = head.window.map(|window| At(window.0));
        let end = head.window.map(|window| At(window.1));
        let result = bind_costs(sqlx::query::<Db>(COUNT_PAGE), &head.traffic, counts)
            .bind(start)
            .bind(start)
            .bind(start)
            .bind(end)
            .bind(end)
            .bind(end)
            .bind(self.scope.run.0)
            .bind(self.scope.lease.job.0)
            .bind(self.scope.lease.fence)
            .execute(session)
            .await?;
        Ok(result.rows_affected())
    }
}

/// P15: a record is rewritten by its id, so the id must be one that was looked up under the page's own connection.
fn only_looked_up(known: &KnownRecords, writes: &PageWrites) -> Result<(), Fault> {
    let ids = |record: &Known| (record.link_id, record.internal_id);
    let stray = writes.records.iter().find(|record| {
        record.existing.as_ref().is_some_and(|existing| known.get(&record.external_id).map(ids) != Some(ids(existing)))
    });
    let of_another = |taken: &&Known| !known.values().any(|known| ids(known) == ids(taken));
    if let Some(taken) = writes.voided.iter().chain(writes.left_out.iter().map(|left| &left.known)).find(of_another) {
        return Err(Fault::Refused(StoreError::Constraint {
            constraint: "a stored record is one of those looked up".to_owned(),
            detail: format!("the link {} in what is taken back", taken.link_id),
        }));
    }
    match stray {
        None => Ok(()),
        Some(record) => Err(Fault::Refused(StoreError::Constraint {
            constraint: "a stored record is one of those looked up".to_owned(),
            detail: format!("the record of raw event {} in its page", record.raw),
        })),
    }
}

/// Binds what the page ledger and the run's row both keep: traffic, then the buckets, in the order of their columns.
fn bind_costs<'q>(query: Statement<'q>, traffic: &Traffic, counts: &Counts) -> Statement<'q> {
    query
        .bind(traffic.requests)
        .bind(traffic.retries)
        .bind(traffic.rate_limited_ms)
        .bind(traffic.bytes_in)
        .bind(counts.seen)
        .bind(counts.created)
        .bind(counts.updated)
        .bind(counts.unchanged)
        .bind(counts.duplicate)
        .bind(counts.ignored)
        .bind(counts.failed)
}
