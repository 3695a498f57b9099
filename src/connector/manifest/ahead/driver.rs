//! The task that fetches ahead: starts what the queue allows, and puts into it what comes.
//!
//! Owns the requests under way; all of them end with the task. Refuses to decide what is delivered.

use std::{future::Future, pin::Pin, sync::Arc};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{Shared, queue::Start};
use crate::connector::{
    ConnectorError, PullRequest,
    manifest::{ManifestConnector, place::Place, pull::Pull, pull_answer::Fetched},
};

/// What came of something that was started.
enum Came {
    Slice(Result<Option<Place>, ConnectorError>),
    Page { slice: u64, place: Place, page: Result<(Fetched, usize), ConnectorError> },
}

/// However the task ends, nobody is left waiting for it.
struct Ended<'s>(&'s Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.queue().end();
        self.0.came.notify_waiters();
    }
}

/// Fetches until it is dropped.
pub(super) async fn drive(connector: ManifestConnector, request: PullRequest, shared: Arc<Shared>) {
    let _ended = Ended(&shared);
    let plan = connector.loaded.streams.iter().find(|plan| plan.spec.name == request.stream);
    let Some(Ok(pull)) = plan.map(|plan| Pull::new(&connector, plan, &request)) else { return };
    let mut under_way = FuturesUnordered::new();
    loop {
        loop {
            let start = shared.queue().start();
            let Some(start) = start else { break };
            under_way.push(started(&pull, start));
        }
        tokio::select! {
            Some(came) = under_way.next(), if !under_way.is_empty() => {
                match came {
                    Came::Slice(found) => shared.queue().slice_came(found),
                    Came::Page { slice, place, page } => {
                        let (page, bytes) = match page {
                            Ok((page, bytes)) => (Ok(page), bytes),
                            Err(error) => (Err(error), 0),
                        };
                        let next = page.as_ref().ok().and_then(|page| behind(&pull, &place, page));
                        shared.queue().page_came(slice, place, page, bytes, next);
                    }
                }
                shared.came.notify_waiters();
            }
            () = shared.taken.notified() => {}
        }
    }
}

fn started<'p>(pull: &'p Pull<'p>, start: Start) -> Pin<Box<dyn Future<Output = Came> + Send + 'p>> {
    match start {
        Start::SliceAfter(place) => Box::pin(async move { Came::Slice(pull.slice_after(&place).await) }),
        Start::Page { slice, place } => Box::pin(async move {
            let page = pull.fetch(&place).await;
            Came::Page { slice, place, page }
        }),
    }
}

/// Where the slice goes on after a page, as far as that can be told without delivering it.
fn behind(pull: &Pull<'_>, place: &Place, page: &Fetched) -> Option<Place> {
    let Fetched::Page(taken) = page else { return None };
    let token = taken.token.clone()?;
    if taken.failure.is_some() || pull.cap_reached(place, taken.count) {
        return None;
    }
    // A listing that goes round in circles is refused where it is delivered.
    place.clone().next_page(token, taken.count, &taken.fingerprint).ok()
}
