//! The schema's steps, and how the database stands to the program.

use super::{
    View,
    table::{Grid, number, text},
};
use crate::store::schema::{Migration, SchemaState};

/// `tidegate migrate --check`
pub fn migration_list(view: &View, migrations: &[Migration]) -> String {
    let mut grid = Grid::new(view, &[number("version"), text("name"), text("state")]);
    for step in migrations {
        let state = if step.applied { "applied" } else { "missing" };
        grid.row([step.version.to_string(), step.name.clone(), state.to_owned()]);
    }
    grid.or("this program knows no migrations")
}

/// One line with the way out.
pub fn schema_state(state: &SchemaState) -> String {
    let numbers = |list: &[i64]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match state {
        SchemaState::Current => "the schema is up to date".to_owned(),
        SchemaState::Empty => "the database is empty; run: tidegate migrate".to_owned(),
        SchemaState::Behind { missing } => {
            format!("the schema lacks {}; run: tidegate migrate", numbers(missing))
        }
        SchemaState::Ahead { unknown } => {
            format!("the schema is newer than this program (it has {}); install the newer program", numbers(unknown))
        }
        SchemaState::Dirty { version, detail } => {
            format!("migration {version} is not as it should be: {detail}; see schema_mismatch in deploy/runbook.md")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::print::samples;

    #[test]
    fn steps_and_state_say_what_to_do() {
        let steps = [
            Migration { version: 1, name: "identity".to_owned(), applied: true },
            Migration { version: 2, name: "work".to_owned(), applied: false },
        ];
        let text = migration_list(&samples::view(), &steps);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines[2], lines[3]), ("      1  identity  applied", "      2  work      missing"));
        let behind = schema_state(&SchemaState::Behind { missing: vec![2, 3] });
        assert_eq!(behind, "the schema lacks 2, 3; run: tidegate migrate");
    }
}
