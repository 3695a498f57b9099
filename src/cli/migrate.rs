//! `tidegate migrate`: apply, check or print the schema.

use serde_json::json;

use super::{
    App, Done,
    args::MigrateArgs,
    exit::Exit,
    failure::Failure,
    print::{self, Output},
};
use crate::{
    settings::Engine,
    store::{self, schema::SchemaState},
};

/// Does `migrate`.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, args: &MigrateArgs, out: Output) -> Done {
    if args.print {
        let sql = store::migrations::text(app.settings.database.engine == Engine::Sqlite);
        return app.show(out, &json!({"sql": sql}), |_| sql.clone());
    }
    let store = app.open_store().await?;
    if args.check {
        let state = store.schema_state().await?;
        let steps = store.migrations().await?;
        app.show(out, &json!({"state": state, "steps": steps}), |view| {
            format!("{}\n{}", print::schema::schema_state(&state), print::schema::migration_list(view, &steps))
        })?;
        return Ok(if state == SchemaState::Current { Exit::Done } else { Exit::Usage });
    }
    let state = store.schema_state().await?;
    if let SchemaState::Ahead { unknown } = state {
        return Err(Failure::usage(format!("the database is newer than this program (steps {unknown:?})"))
            .remedy("use the program's version that made it, or a newer one"));
    }
    // Nothing to do needs no right to do it.
    let applied = if state == SchemaState::Current { Vec::new() } else { store.migrate().await? };
    app.show(out, &json!({"applied": applied}), |view| {
        if applied.is_empty() {
            return "the schema is up to date".to_owned();
        }
        format!("applied {} steps\n{}", applied.len(), print::schema::migration_list(view, &applied))
    })
}

/// A sentence for a schema that cannot be worked with, with the command to run; `None` when it is current.
pub fn refusal(state: &SchemaState) -> Option<Failure> {
    let failure = match state {
        SchemaState::Current => return None,
        SchemaState::Empty => Failure::usage("the database has no schema yet").remedy("tidegate migrate"),
        SchemaState::Behind { missing } => {
            Failure::usage(format!("the schema is behind this program: steps {missing:?} are missing"))
                .remedy("tidegate migrate")
        }
        SchemaState::Ahead { unknown } => {
            Failure::usage(format!("the schema is ahead of this program: steps {unknown:?} are unknown to it"))
                .remedy("use the version of tidegate that the schema was made for, or a newer one")
        }
        SchemaState::Dirty { version, detail } => {
            Failure::usage(format!("step {version} of the schema is not whole: {detail}"))
                .remedy("tidegate migrate goes on where it stopped")
        }
    };
    Some(failure)
}
