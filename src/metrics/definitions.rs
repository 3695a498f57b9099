//! All definitions of a process: the built-in ones, those of the files in `metrics.files`, and those of connector folders.
//!
//! Owns who replaces whom: a later file replaces an entry by its key; a connector folder may only add.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::parse;
use crate::{
    domain::metric::Definition,
    yaml::{self, Dialect, NodeValue, Problem, Table},
};

/// The definitions that ship with the program.
const BUILT_IN: &str = include_str!("../../config/metrics.yaml");

/// Something wrong with a file of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricProblem {
    pub file: String,
    pub problem: Problem,
}

impl fmt::Display for MetricProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, field, message, remedy } = &self.problem;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        write!(f, "{}{line}: {field}{message} ({remedy})", self.file)
    }
}

/// Definitions by key.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    by_key: BTreeMap<String, Arc<Definition>>,
}

impl Definitions {
    /// The built-in ones, then the files' in their order: pairs of name and text.
    ///
    /// # Errors
    /// Everything that is wrong in all files.
    pub fn load(files: &[(String, String)]) -> Result<Self, Vec<MetricProblem>> {
        let mut all = Self::default();
        let mut told = Vec::new();
        let built_in = ("built-in metrics".to_owned(), BUILT_IN.to_owned());
        for (file, text) in [&built_in].into_iter().chain(files) {
            let mut problems = Vec::new();
            for definition in read(text, &mut problems) {
                all.by_key.insert(definition.key.clone(), Arc::new(definition));
            }
            problems.sort_by_key(|problem| problem.line);
            told.extend(problems.into_iter().map(|problem| MetricProblem { file: file.clone(), problem }));
        }
        if told.is_empty() { Ok(all) } else { Err(told) }
    }

    pub fn get(&self, key: &str) -> Option<&Arc<Definition>> {
        self.by_key.get(key)
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.by_key.values()
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }

    /// Adds one that is not there; `false` when there is one of that key.
    pub(super) fn add(&mut self, definition: Definition) -> bool {
        let free = !self.by_key.contains_key(&definition.key);
        if free {
            self.by_key.insert(definition.key.clone(), Arc::new(definition));
        }
        free
    }
}

fn read(text: &str, problems: &mut Vec<Problem>) -> Vec<Definition> {
    let root = match yaml::parse(text, Dialect::Strict) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    if root.value == NodeValue::Null {
        return Vec::new();
    }
    let Some(mut top) = Table::open(&root, "", problems) else { return Vec::new() };
    let found = parse::entries(&mut top, &[], problems);
    top.finish(problems);
    found
}
