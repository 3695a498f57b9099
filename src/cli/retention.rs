//! `tidegate retention`: takes away what is old now, or tells what would go.

use std::collections::HashMap;

use serde_json::json;

use super::{
    App, Done,
    args::RetentionArgs,
    exit::Exit,
    print::{Output, retention_list},
};
use crate::{lifecycle, store::retention::Kind};

/// Looks at everything that has a rule, to its end.
///
/// # Errors
/// See [`super::failure::Failure`].
pub async fn run(app: &App, args: &RetentionArgs, out: Output) -> Done {
    let store = app.store().await?;
    let retention = app.retention(store);
    let stop = lifecycle::stop_on_signals()?;
    let taken = retention.once(&mut HashMap::new(), args.dry_run, false, &stop).await?;
    let kept: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !retention.rules.keep.contains_key(kind)).collect();
    let document = json!({"dry_run": args.dry_run, "taken": taken, "kept_for_ever": kept});
    app.show(out, &document, |view| retention_list(view, &taken, &kept, args.dry_run))?;
    Ok(if taken.iter().all(|taken| taken.whole) { Exit::Done } else { Exit::TryLater })
}
