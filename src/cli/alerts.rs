//! `tidegate alerts …`: what stands, and what stood.

use super::{
    App, Done,
    args::AlertsCommand,
    failure::Failure,
    names,
    print::{self, Output, notices::nearest},
};
use crate::store::alerts::AlertFilter;

/// Does an `alerts` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &AlertsCommand, out: Output) -> Done {
    let AlertsCommand::List { all, rule, connection, limit } = command;
    let rules = app.alert_rules()?;
    if let Some(key) = rule.as_deref().filter(|key| rules.get(key).is_none()) {
        let known: Vec<&str> = rules.all().iter().map(|rule| rule.key.as_str()).collect();
        let near = nearest(key, known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        return Err(Failure::usage(format!("there is no alert rule '{key}'{near}"))
            .remedy(format!("rules: {}", known.join(", "))));
    }
    let store = app.store().await?;
    names::known(&store, connection.as_slice(), &[]).await?;
    let filter = AlertFilter { all: *all, rule_key: rule.clone(), connection_key: connection.clone(), limit: *limit };
    let alerts = store.alerts(&filter).await?;
    app.show(out, &alerts, |view| print::alerts::alert_list(view, &alerts, *all))
}
