//! Names and words as people type them, held against what there is: a slip is told with what was meant.
//!
//! Owns the check before a list, a run or a replay. An unknown name is never an empty answer.

use std::collections::BTreeSet;

use super::{connection, failure::Failure, print::notices::nearest};
use crate::{
    domain::status::UnknownWord,
    store::{SharedStore, catalogue::JobFilter},
};

/// Holds typed connections and streams against what is declared; a stream must be one of the named connections' (or, without
/// any, of some connection).
///
/// # Errors
/// All names that there are not, with the nearest ones.
pub async fn known(store: &SharedStore, connections: &[String], streams: &[String]) -> Result<(), Failure> {
    let mut wrong: Vec<Failure> = Vec::new();
    for key in connections {
        match connection::find(store, key).await {
            Ok(_) => {}
            Err(failure) => wrong.push(failure),
        }
    }
    if wrong.is_empty() && !streams.is_empty() {
        let filter = JobFilter { connection_keys: connections.to_vec(), streams: Vec::new() };
        let declared: BTreeSet<String> = store.jobs(&filter).await?.into_iter().map(|job| job.spec.stream).collect();
        let whose = match connections {
            [] => "there is".to_owned(),
            keys => format!("{} has", keys.join(", ")),
        };
        let all = match declared.len() {
            0 => "declare it under `jobs:` and run tidegate apply -f FILE".to_owned(),
            _ => format!("declared streams: {}", declared.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        };
        for stream in streams.iter().filter(|stream| !declared.contains(*stream)) {
            let near = nearest(stream, declared.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
            wrong.push(Failure::usage(format!("{whose} no job for stream '{stream}'{near}")).remedy(&all));
        }
    }
    let Some(last) = wrong.pop() else { return Ok(()) };
    let messages: Vec<&str> = wrong.iter().chain([&last]).map(|failure| failure.message.as_str()).collect();
    Err(Failure { message: messages.join("\n"), ..last })
}

/// A word of a closed vocabulary, such as a status.
///
/// # Errors
/// The words that there are, and the nearest one.
pub fn word<T: std::str::FromStr<Err = UnknownWord>>(typed: &str) -> Result<T, Failure> {
    typed.parse().map_err(|unknown: UnknownWord| {
        let near = nearest(typed, unknown.expected.split(", "));
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        Failure::usage(format!("'{typed}' is no {}{near}", unknown.kind))
            .remedy(format!("use one of: {}", unknown.expected))
    })
}
