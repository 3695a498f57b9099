//! The store's pools, and how a transaction is run: whole, in a task of its own, again when that can help.
//!
//! A transaction runs in its own task, so that a caller who stops waiting never cuts it in half.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use rand::Rng;
use sqlx::{Connection as _, Pool, Row as _, pool::PoolConnection, query::Query};
use tokio_util::task::TaskTracker;

use super::{
    Connection, Db, Row, dialect,
    fault::{Class, Fault, classify, store_error, unavailable},
};
use crate::{
    domain::clock::Clock,
    store::{StoreError, error::DriverError},
};

/// How long calls other than pages and the end of runs are tried again.
const SHORT_BUDGET: Duration = Duration::from_secs(5);
/// The first wait after a lost deadlock; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(4);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Attempts at one transaction, whatever the reason and the budget.
const MOST_ATTEMPTS: u32 = 200;

/// How long the proof may take that a connection given back is alive.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// An open database.
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub writer: Pool<Db>,
    /// The same pool where readers and writers do not get into each other's way.
    pub reader: Pool<Db>,
    pub clock: Arc<dyn Clock>,
    pub call_timeout: Duration,
    pub outage_budget: Duration,
    pub tasks: TaskTracker,
}

/// A statement with its values.
pub(super) type Statement<'q> = Query<'q, Db, <Db as sqlx::Database>::Arguments>;

/// A connection of a pool. Only one that was given back goes back: a call that was cut (time-out, cancelled caller, error)
/// leaves a connection in an unknown state, and a pool would wait for it, perhaps for ever. Closing it makes the server
/// roll back.
pub(super) struct Lent {
    pooled: Option<PoolConnection<Db>>,
}

impl Lent {
    pub async fn of(pool: &Pool<Db>) -> Result<Self, sqlx::Error> {
        Ok(Self { pooled: Some(pool.acquire().await?) })
    }

    pub fn session(&mut self) -> &mut Connection {
        self.pooled.as_mut().expect("a lent connection is there until it is given back")
    }

    /// Lets the pool prove the connection and keep it. Dropping it would do the same, but would wait for ever, with its
    /// place in the pool, for a server that does not answer.
    pub fn give_back(mut self) {
        if let Some(mut pooled) = self.pooled.take() {
            let back = pooled.return_to_pool();
            tokio::spawn(async move { tokio::time::timeout(RETURN_TIMEOUT, back).await });
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take() {
            drop(pooled.detach());
        }
    }
}

/// For how long a transaction is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// As long as the database may be away: work would be lost otherwise.
    Outage,
    /// A few seconds: the caller comes back by itself.
    Short,
}

/// What a try at a transaction knows of the tries before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// A COMMIT was sent whose answer never came: the work must first look whether it is done already.
    pub unsure: bool,
}

/// The answer of a transaction, with what is to become of what it wrote.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    Commit(T),
    RollBack(T),
}

/// How one attempt ended.
enum Ended<T> {
    Answer(T),
    /// Roll back, run again.
    Again,
    Busy(DriverError),
    /// `unsure`: while COMMIT was on its way.
    Lost {
        cause: DriverError,
        unsure: bool,
    },
    Refused(StoreError),
}

impl Store {
    /// Runs reads within the time bound.
    pub(super) async fn read<T>(
        &self,
        during: &'static str,
        work: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.inner.call_timeout, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Fault::Sql(error))) => Err(store_error(during, &error)),
            Ok(Err(Fault::Refused(error))) => Err(error),
            Ok(Err(Fault::Again)) | Err(_) => Err(unavailable(timed_out(during))),
        }
    }

    /// Runs `work` in a transaction, again after deadlocks and lost connections, until the patience is at its end.
    pub(super) async fn write<T, F>(&self, during: &'static str, patience: Patience, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Connection, Attempt) -> BoxFuture<'t, Result<Outcome<T>, Fault>> + Send + Sync + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let task = self.inner.tasks.spawn(async move { inner.persist(during, patience, work).await });
        match task.await {
            Ok(answer) => answer,
            Err(broken) => Err(StoreError::Database { during, source: Box::new(broken) }),
        }
    }
}

impl Inner {
    /// All rows of a read.
    pub async fn rows(&self, query: Statement<'_>) -> Result<Vec<Row>, Fault> {
        let mut lent = Lent::of(&self.reader).await?;
        let rows = query.fetch_all(lent.session()).await?;
        lent.give_back();
        Ok(rows)
    }

    /// The row of a read, when there is one.
    pub async fn row(&self, query: Statement<'_>) -> Result<Option<Row>, Fault> {
        Ok(self.rows(query).await?.pop())
    }

    /// The one number that a read gives.
    pub async fn number(&self, query: Statement<'_>) -> Result<i64, Fault> {
        let row = self.row(query).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(row.try_get(0)?)
    }

    async fn persist<T, F>(&self, during: &'static str, patience: Patience, work: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'t> Fn(&'t mut Connection, Attempt) -> BoxFuture<'t, Result<Outcome<T>, Fault>> + Send + Sync,
    {
        let budget = match patience {
            Patience::Outage => self.outage_budget,
            Patience::Short => SHORT_BUDGET.min(self.outage_budget),
        };
        let begun = self.clock.monotonic();
        let mut attempt = Attempt { unsure: false };
        let mut wait = FIRST_WAIT;
        for _ in 0..MOST_ATTEMPTS {
            let cause = match self.attempt(during, attempt, &work).await {
                Ended::Answer(answer) => return Ok(answer),
                Ended::Refused(error) => return Err(error),
                Ended::Again => continue,
                Ended::Busy(cause) => cause,
                Ended::Lost { cause, unsure } => {
                    attempt.unsure |= unsure;
                    cause
                }
            };
            if self.clock.monotonic().saturating_sub(begun) + wait >= budget {
                return Err(unavailable(cause));
            }
            // Half of the wait is chance, so that those who met in a deadlock do not meet again.
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.0));
            self.clock.sleep(jittered).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Err(unavailable(DriverError(format!("{during}: {MOST_ATTEMPTS} attempts did not get through"))))
    }

    async fn attempt<T, F>(&self, during: &'static str, attempt: Attempt, work: &F) -> Ended<T>
    where
        T: Send,
        F: for<'t> Fn(&'t mut Connection, Attempt) -> BoxFuture<'t, Result<Outcome<T>, Fault>> + Send + Sync,
    {
        let mut lent = match Lent::of(&self.writer).await {
            Ok(lent) => lent,
            Err(error) => return sort(during, &error, false),
        };
        let (committing, clean) = (AtomicBool::new(false), AtomicBool::new(false));
        let work = transact(lent.session(), attempt, work, &committing, &clean);
        let ended = match tokio::time::timeout(self.call_timeout, work).await {
            Ok(Ok(answer)) => Ended::Answer(answer),
            Ok(Err(Fault::Refused(error))) => Ended::Refused(error),
            Ok(Err(Fault::Again)) => Ended::Again,
            Ok(Err(Fault::Sql(error))) => sort(during, &error, committing.load(Ordering::Relaxed)),
            Err(_) => Ended::Lost { cause: timed_out(during), unsure: committing.load(Ordering::Relaxed) },
        };
        // SQLite ends a transaction by itself when the disk is full: the driver's count of open ones is then wrong, and no
        // transaction could begin on that connection again.
        if clean.load(Ordering::Relaxed) && !matches!(ended, Ended::Lost { .. }) {
            lent.give_back();
        }
        ended
    }
}

async fn transact<T, F>(
    connection: &mut Connection,
    attempt: Attempt,
    work: &F,
    committing: &AtomicBool,
    clean: &AtomicBool,
) -> Result<T, Fault>
where
    F: for<'t> Fn(&'t mut Connection, Attempt) -> BoxFuture<'t, Result<Outcome<T>, Fault>>,
{
    let mut transaction = connection.begin_with(dialect::BEGIN).await?;
    match work(&mut transaction, attempt).await {
        Ok(Outcome::Commit(answer)) => {
            committing.store(true, Ordering::Relaxed);
            transaction.commit().await?;
            clean.store(true, Ordering::Relaxed);
            Ok(answer)
        }
        Ok(Outcome::RollBack(answer)) => {
            transaction.rollback().await?;
            clean.store(true, Ordering::Relaxed);
            Ok(answer)
        }
        Err(fault) => {
            clean.store(transaction.rollback().await.is_ok(), Ordering::Relaxed);
            Err(fault)
        }
    }
}

fn sort<T>(during: &'static str, error: &sqlx::Error, committing: bool) -> Ended<T> {
    match classify(during, error) {
        Class::Busy(cause) => Ended::Busy(cause),
        Class::Lost(cause) => Ended::Lost { cause, unsure: committing },
        Class::Final(error) => Ended::Refused(error),
    }
}

fn timed_out(during: &'static str) -> DriverError {
    DriverError(format!("{during}: no answer within the time allowed for a call"))
}
