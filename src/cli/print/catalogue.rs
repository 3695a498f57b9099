//! What is declared: clients, providers, connections, and the log of human acts.

use serde::Serialize;

use super::{
    View, jobs,
    table::{Grid, facts, number, text},
    words::{NONE, maybe_time, or_none, plain, time_and_age},
};
use crate::{
    cli::field_maps::FieldMapView,
    conformance::Check,
    domain::clock::Timestamp,
    store::{
        catalogue::{AdminAction, Client, Connection, Job},
        runs::Run,
    },
};

/// `tidegate clients`
pub fn client_list(view: &View, clients: &[Client]) -> String {
    let mut grid = Grid::new(view, &[text("client"), text("name"), text("status")]);
    for client in clients {
        grid.row([client.client_key.clone(), client.name.clone(), client.status.to_string()]);
    }
    grid.or("no clients are declared; see: tidegate apply --help")
}

/// `tidegate connection list`
pub fn connection_list(view: &View, connections: &[Connection]) -> String {
    let columns = [
        text("connection"),
        text("client"),
        text("provider"),
        text("account"),
        text("environment"),
        text("status"),
        text("last tested"),
        text("why"),
    ];
    let mut grid = Grid::new(view, &columns);
    for connection in connections {
        grid.row([
            connection.spec.connection_key.clone(),
            connection.spec.client_key.clone(),
            connection.spec.provider_key.clone(),
            connection.spec.provider_account_id.clone(),
            connection.spec.environment.to_string(),
            connection.status.to_string(),
            maybe_time(connection.last_tested_at, view.now),
            or_none(connection.status_reason.as_deref()),
        ]);
    }
    grid.or("no connections are declared; see: tidegate apply --help")
}

/// `tidegate connection show`: the facts, its jobs, and the fields that its last runs saw and nothing maps.
pub fn connection_show(view: &View, connection: &Connection, jobs: &[Job], last_runs: &[Run]) -> String {
    let spec = &connection.spec;
    let optional = |value: &Option<String>| Some(or_none(value.as_deref()));
    let mut out = format!("connection {}\n\n", plain(&spec.connection_key));
    let status = match &connection.status_reason {
        Some(reason) => format!("{} ({reason})", connection.status),
        None => connection.status.to_string(),
    };
    out.push_str(&facts(
        view,
        [
            ("client", Some(spec.client_key.clone())),
            ("provider", Some(format!("{}, account {}", spec.provider_key, spec.provider_account_id))),
            ("environment", Some(spec.environment.to_string())),
            ("status", Some(status)),
            ("source label", Some(spec.source_label.clone())),
            ("owner", optional(&spec.owner)),
            ("reason", optional(&spec.reason)),
            ("auth", Some(spec.auth_type.clone())),
            ("credential", optional(&spec.credential_ref)),
            ("scopes", Some(if spec.scopes.is_empty() { NONE.to_owned() } else { spec.scopes.join(" ") })),
            ("refresh policy", optional(&spec.refresh_policy)),
            ("revocation path", optional(&spec.revocation_path)),
            ("failure path", optional(&spec.failure_path)),
            ("rollback path", optional(&spec.rollback_path)),
            ("last tested", Some(maybe_time(connection.last_tested_at, view.now))),
            ("activated", Some(maybe_time(connection.activated_at, view.now))),
            ("config", Some(spec.config.to_string())),
        ],
    ));
    out.push_str("\njobs\n\n");
    out.push_str(&jobs::job_list(view, jobs));
    let unmapped = unmapped_fields(view, last_runs);
    if !unmapped.is_empty() {
        out.push_str("\nfields that arrive and are mapped nowhere\n\n");
        out.push_str(&unmapped);
    }
    out
}

/// Fields of a run's `unmapped_fields` (an object of names and counts), largest first; empty when there are none.
pub(super) fn unmapped_fields(view: &View, runs: &[Run]) -> String {
    let mut rows: Vec<(&str, &str, i64)> = Vec::new();
    for run in runs {
        for (field, count) in run.unmapped_fields.as_ref().and_then(|fields| fields.as_object()).into_iter().flatten() {
            rows.push((&run.stream, field, count.as_i64().unwrap_or(0)));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
    let mut grid = Grid::new(view, &[text("stream"), text("field"), number("records")]);
    for (stream, field, count) in rows {
        grid.row([stream.to_owned(), field.to_owned(), count.to_string()]);
    }
    grid.text()
}

/// A provider as its folder and its row describe it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderView {
    pub provider_key: String,
    pub name: String,
    pub category: String,
    pub auth_type: String,
    /// The row's status, or a word such as `not applied` when there is no row yet.
    pub status: String,
    pub owner: Option<String>,
    pub reason: Option<String>,
    /// Lines that tell the declared limits.
    pub limits: Vec<String>,
    pub streams: Vec<ProviderStreamView>,
    /// Lines that tell its `webhook.yaml`: the scheme, then each event.
    pub webhook: Vec<String>,
    /// How many checks of the conformance kit it passes, e.g. `12/12`.
    pub conformance: Option<String>,
    /// The checks themselves, for `provider show`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// A stream of a [`ProviderView`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderStreamView {
    pub name: String,
    /// Names of the key's fields, dotted and comma-separated.
    pub primary_key: String,
    pub sync_modes: Vec<String>,
    pub cursor_field: Option<String>,
    /// Version and table of the field map in force, e.g. `2026-11-01 -> crm_leads`; `None`: nothing maps it.
    pub field_map: Option<String>,
    /// Higher versions in the folder, which wait to be activated.
    pub waiting: Vec<String>,
}

/// `tidegate provider list`
pub fn provider_list(view: &View, providers: &[ProviderView]) -> String {
    let columns = [
        text("provider"),
        text("name"),
        text("category"),
        text("auth"),
        text("status"),
        text("streams"),
        text("conformance"),
    ];
    let mut grid = Grid::new(view, &columns);
    for provider in providers {
        let streams: Vec<_> = provider.streams.iter().map(|stream| stream.name.as_str()).collect();
        grid.row([
            provider.provider_key.clone(),
            provider.name.clone(),
            provider.category.clone(),
            provider.auth_type.clone(),
            provider.status.clone(),
            streams.join(", "),
            or_none(provider.conformance.as_deref()),
        ]);
    }
    grid.or("no provider folder was found; see connectors.dirs in the settings")
}

/// `tidegate provider show`
pub fn provider_show(view: &View, provider: &ProviderView) -> String {
    let mut out = format!("provider {}\n\n", plain(&provider.provider_key));
    let limits = provider.limits.iter().map(|limit| ("limit", Some(limit.clone())));
    out.push_str(&facts(
        view,
        [
            ("name", Some(provider.name.clone())),
            ("category", Some(provider.category.clone())),
            ("auth", Some(provider.auth_type.clone())),
            ("status", Some(provider.status.clone())),
            ("owner", Some(or_none(provider.owner.as_deref()))),
            ("reason", Some(or_none(provider.reason.as_deref()))),
            ("conformance", provider.conformance.clone()),
        ]
        .into_iter()
        .chain(limits),
    ));
    out.push('\n');
    let columns = [text("stream"), text("key"), text("sync modes"), text("cursor field"), text("field map")];
    let mut grid = Grid::new(view, &columns);
    for stream in &provider.streams {
        let field_map = stream.field_map.as_ref().map(|map| match stream.waiting.as_slice() {
            [] => map.clone(),
            waiting => format!("{map} (waiting: {})", waiting.join(", ")),
        });
        grid.row([
            stream.name.clone(),
            stream.primary_key.clone(),
            stream.sync_modes.join(", "),
            or_none(stream.cursor_field.as_deref()),
            or_none(field_map.as_deref()),
        ]);
    }
    out.push_str(&grid.or("it offers no streams"));
    if !provider.webhook.is_empty() {
        out.push_str("\nwebhook\n\n");
        out.extend(provider.webhook.iter().map(|line| format!("{}\n", plain(line))));
    }
    out
}

/// The field maps of a connection's streams.
pub fn field_map_list(view: &View, maps: &[FieldMapView]) -> String {
    let columns = [
        text("stream"),
        text("in force"),
        text("since"),
        text("by"),
        text("waiting"),
        number("records"),
        number("of another version"),
    ];
    let mut grid = Grid::new(view, &columns);
    let mut notes = String::new();
    for map in maps {
        grid.row([
            map.stream.clone(),
            or_none(map.in_force.as_deref()),
            maybe_time(map.activated_at, view.now),
            or_none(map.activated_by.as_deref()),
            if map.waiting.is_empty() { NONE.to_owned() } else { map.waiting.join(", ") },
            map.records.to_string(),
            map.records_of_other_versions.to_string(),
        ]);
        if let Some(problem) = &map.problem {
            notes.push_str(&format!("{}: {}\n", plain(&map.stream), plain(problem)));
        }
        if map.records_of_other_versions > 0 {
            notes.push_str(&format!(
                "{}: tidegate normalize --replay maps records of other versions again; what the map in force leaves out or fails keeps its row\n",
                plain(&map.stream)
            ));
        }
    }
    grid.text() + &notes
}

/// The latest human acts.
pub fn admin_action_list(view: &View, actions: &[(Timestamp, AdminAction)]) -> String {
    let mut grid = Grid::new(view, &[text("at"), text("who"), text("did"), text("to"), text("reason")]);
    for (at, action) in actions {
        grid.row([
            time_and_age(*at, view.now),
            action.actor.clone(),
            action.action.clone(),
            format!("{} {}", action.subject_type, action.subject_key),
            or_none(action.reason.as_deref()),
        ]);
    }
    grid.or("nobody has acted yet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::print::samples;

    #[test]
    fn a_connection_is_told_with_its_jobs_and_its_unmapped_fields() {
        let mut run = samples::run();
        run.unmapped_fields = Some(serde_json::json!({ "properties.notes": 12, "properties.zip": 40 }));
        let view = samples::view();
        let mut paused = samples::connection();
        paused.status_reason = Some("paused by ops: duplicate calls".to_owned());
        let list = connection_list(&view, &[samples::connection(), paused]);
        let show = connection_show(&view, &samples::connection(), &[samples::job()], &[run]);
        insta::assert_snapshot!(format!("{list}\n{show}"));
    }

    #[test]
    fn a_provider_is_told_with_its_streams_and_limits() {
        let provider = ProviderView {
            provider_key: "hubspot".to_owned(),
            name: "HubSpot".to_owned(),
            category: "crm".to_owned(),
            auth_type: "bearer".to_owned(),
            status: "active".to_owned(),
            owner: None,
            reason: None,
            limits: vec!["100 calls in 10 s, per account".to_owned()],
            streams: vec![ProviderStreamView {
                name: "contacts".to_owned(),
                primary_key: "id".to_owned(),
                sync_modes: vec!["full_refresh".to_owned(), "incremental".to_owned()],
                cursor_field: Some("updatedAt".to_owned()),
                field_map: Some("2026-11-01 -> crm_leads".to_owned()),
                waiting: Vec::new(),
            }],
            webhook: vec!["github: signed, of any age".to_owned(), "push: asks for a fetch of contacts".to_owned()],
            conformance: None,
            checks: Vec::new(),
        };
        let view = samples::view();
        let text =
            format!("{}\n{}", provider_list(&view, std::slice::from_ref(&provider)), provider_show(&view, &provider));
        insta::assert_snapshot!(text);
    }
}
