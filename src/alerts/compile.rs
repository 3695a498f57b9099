//! From the text of `config/alerts.yaml`, and of a file that changes it, to checked rules.
//!
//! Owns the form of a rule. Finds everything that is wrong at once. A rule of the second file that has the key of a built-in one takes
//! over what it leaves out; any other must say all.

use std::{fmt, time::Duration};

use super::rule::{Rule, Watch};
use crate::{
    domain::{schedule::parse_duration, status::Severity},
    yaml::{self, Dialect, Node, NodeValue, Problem, Table, nearest},
};

/// The rules that are built in.
pub const BUILT_IN: &str = include_str!("../../config/alerts.yaml");
/// Longest key and runbook heading.
const LONGEST_NAME: usize = 60;
/// Longest sentence.
const LONGEST_TEXT: usize = 400;
/// What a remedy may have filled in.
const BLANKS: [&str; 3] = ["{connection}", "{stream}", "{client}"];

/// The table of rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules(Vec<Rule>);

/// One thing that is wrong with a file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    pub file: String,
    pub problem: Problem,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

impl Rules {
    /// The built-in rules, changed by a file's name and text, if there is one.
    ///
    /// # Errors
    /// All problems, with file and line.
    pub fn read(changes: Option<(&str, &str)>) -> Result<Self, Vec<RuleProblem>> {
        let mut rules = Self(Vec::new());
        rules.take("config/alerts.yaml (built in)", BUILT_IN)?;
        if let Some((file, text)) = changes {
            rules.take(file, text)?;
        }
        Ok(rules)
    }

    /// All, switched off or not, in the order of the table.
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    pub fn enabled(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(|rule| rule.enabled)
    }

    pub fn get(&self, key: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.key == key)
    }

    fn take(&mut self, file: &str, text: &str) -> Result<(), Vec<RuleProblem>> {
        let mut problems = Vec::new();
        match yaml::parse(text, Dialect::Strict) {
            Ok(root) => self.document(&root, &mut problems),
            Err(problem) => problems.push(problem),
        }
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.line);
        Err(problems.into_iter().map(|problem| RuleProblem { file: file.to_owned(), problem }).collect())
    }

    fn document(&mut self, root: &Node, problems: &mut Vec<Problem>) {
        let Some(mut top) = Table::open(root, "", problems) else { return };
        let mut seen: Vec<String> = Vec::new();
        for (index, node) in top.items("rules").into_iter().enumerate() {
            let Some(mut table) = Table::open(node, &format!("rules[{index}]"), problems) else { continue };
            let Some(key) = table.required_text("key", "name the rule, e.g. source_late", problems) else { continue };
            if !is_name(&key) {
                wrong(&table, "key", "is no name", "use small letters, digits and _, at most 60", problems);
            }
            if seen.contains(&key) {
                wrong(&table, "key", &format!("the rule `{key}` stands twice"), "keep one of the two", problems);
            }
            let base = self.get(&key).cloned();
            let rule = rule(&mut table, key.clone(), base.as_ref(), problems);
            table.finish(problems);
            seen.push(key);
            if let Some(rule) = rule {
                match self.0.iter_mut().find(|known| known.key == rule.key) {
                    Some(known) => *known = rule,
                    None => self.0.push(rule),
                }
            }
        }
        top.finish(problems);
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn wrong(table: &Table<'_>, key: &str, message: &str, remedy: &str, problems: &mut Vec<Problem>) {
    problems.push(Problem::new(table.line_of(key), &table.path(key), message, remedy));
}

fn rule(table: &mut Table<'_>, key: String, base: Option<&Rule>, problems: &mut Vec<Problem>) -> Option<Rule> {
    let enabled = table.bool("enabled", problems).or(base.map(|rule| rule.enabled)).unwrap_or(true);
    let watch = watch(table, base.map(|rule| &rule.watch), problems);
    let severity = text(table, "severity", base.map(|r| r.severity.as_str()), "write error or warn", problems);
    let severity = severity.and_then(|word| {
        let parsed = word.parse::<Severity>();
        if parsed.is_err() {
            wrong(table, "severity", &format!("`{word}` is no severity"), "write error or warn", problems);
        }
        parsed.ok()
    });
    let owner =
        text(table, "owner", base.map(|r| r.owner.as_str()), "name the role that acts, e.g. operations", problems);
    if owner.as_deref().is_some_and(|owner| !is_name(owner)) {
        wrong(
            table,
            "owner",
            "is no role",
            "use a word such as operations; people are named by the connection",
            problems,
        );
    }
    let lasting = duration(table, "for", base.map(|r| r.lasting), Duration::ZERO, problems);
    let silence = duration(table, "silence", base.map(|r| r.silence), Duration::from_secs(4 * 3_600), problems);
    let client_safe = sentence(table, "client_safe", base.map(|r| r.client_safe.as_str()), problems);
    if client_safe
        .as_deref()
        .is_some_and(|text| text.contains(['@', '{', '/']) || text.contains(|c: char| c.is_ascii_digit()))
    {
        let remedy = "write a plain sentence: no address, no number, nothing filled in";
        wrong(table, "client_safe", "is more than a client may read", remedy, problems);
    }
    let remedy = sentence(table, "remedy", base.map(|r| r.remedy.as_str()), problems);
    if let Some(text) = &remedy {
        let bare = BLANKS.iter().fold(text.clone(), |text, blank| text.replace(blank, ""));
        if bare.contains(['{', '}']) {
            let known = BLANKS.join(", ");
            wrong(table, "remedy", "asks for something that is not filled in", &format!("there are {known}"), problems);
        }
    }
    let runbook =
        text(table, "runbook", base.map(|r| r.runbook.as_str()), "name a heading of deploy/runbook.md", problems);
    Some(Rule {
        key,
        enabled,
        watch: watch?,
        severity: severity?,
        owner: owner?,
        lasting: lasting?,
        silence: silence?,
        client_safe: client_safe?,
        remedy: remedy?,
        runbook: runbook?,
    })
}

/// The key's text, or the built-in rule's.
fn text(
    table: &mut Table<'_>,
    key: &'static str,
    base: Option<&str>,
    remedy: &'static str,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    match base {
        Some(base) => Some(table.text(key, problems).unwrap_or_else(|| base.to_owned())),
        None => table.required_text(key, remedy, problems),
    }
}

fn sentence(
    table: &mut Table<'_>,
    key: &'static str,
    base: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let text = text(table, key, base, "write one sentence", problems)?;
    if text.chars().count() > LONGEST_TEXT {
        wrong(table, key, "is too long", &format!("use at most {LONGEST_TEXT} characters"), problems);
    }
    Some(text)
}

fn duration(
    table: &mut Table<'_>,
    key: &'static str,
    base: Option<Duration>,
    default: Duration,
    problems: &mut Vec<Problem>,
) -> Option<Duration> {
    match table.text(key, problems).as_deref() {
        None => Some(base.unwrap_or(default)),
        Some("0" | "0s") => Some(Duration::ZERO),
        Some(text) => {
            let parsed = parse_duration(text);
            if let Err(error) = &parsed {
                wrong(table, key, &error.to_string(), "0s stands for none", problems);
            }
            parsed.ok()
        }
    }
}

fn number(
    table: &mut Table<'_>,
    key: &'static str,
    base: Option<f64>,
    from: f64,
    to: f64,
    problems: &mut Vec<Problem>,
) -> Option<f64> {
    let found = match table.get(key).map(|node| &node.value) {
        None | Some(NodeValue::Null) => base,
        Some(NodeValue::Number(number)) => number.as_f64(),
        Some(_) => None,
    };
    let good = found.filter(|number| (from..=to).contains(number));
    if good.is_none() {
        wrong(table, key, &format!("a number from {from} to {to} is expected"), "see config/alerts.yaml", problems);
    }
    good
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked, and lies far within i64")]
fn count(
    table: &mut Table<'_>,
    key: &'static str,
    base: Option<i64>,
    from: f64,
    problems: &mut Vec<Problem>,
) -> Option<i64> {
    let base = base.and_then(|number| i32::try_from(number).ok()).map(f64::from);
    number(table, key, base, from, 1_000_000.0, problems).map(|number| number.round() as i64)
}

fn watch(table: &mut Table<'_>, base: Option<&Watch>, problems: &mut Vec<Problem>) -> Option<Watch> {
    let word = text(table, "watch", base.map(Watch::word), "say what is watched, e.g. late_jobs", problems)?;
    // Thresholds of another kind of watch are nobody's defaults.
    let base = base.filter(|base| base.word() == word);
    Some(match word.as_str() {
        "late_jobs" => Watch::LateJobs,
        "throttled" => {
            let (share, window, runs) = match base {
                Some(Watch::Throttled { share, window, runs }) => (Some(*share), Some(*window), Some(*runs)),
                _ => (None, None, None),
            };
            let share = number(table, "share", share, 0.01, 1.0, problems);
            let window = duration(table, "window", window, Duration::from_secs(6 * 3_600), problems);
            let runs = count(table, "runs", runs, 1.0, problems);
            Watch::Throttled { share: share?, window: window?, runs: runs? }
        }
        "needs_auth" => Watch::NeedsAuth,
        "quarantined" => Watch::Quarantined,
        "dead_letters" => {
            let base = if let Some(Watch::DeadLetters { more_than }) = base { Some(*more_than) } else { None };
            Watch::DeadLetters { more_than: count(table, "more_than", base, 0.0, problems)? }
        }
        "missed_webhooks" => {
            let (share, window, records) = match base {
                Some(Watch::MissedWebhooks { share, window, records }) => (Some(*share), Some(*window), Some(*records)),
                _ => (None, None, None),
            };
            let share = number(table, "share", share, 0.01, 1.0, problems);
            let window = duration(table, "window", window, Duration::from_secs(24 * 3_600), problems);
            let records = count(table, "records", records, 1.0, problems);
            Watch::MissedWebhooks { share: share?, window: window?, records: records? }
        }
        "controls" => Watch::Controls,
        "checks" => Watch::Checks,
        "held_metrics" => Watch::HeldMetrics,
        "stalled_jobs" => {
            let base = if let Some(Watch::StalledJobs { failures }) = base { Some(*failures) } else { None };
            Watch::StalledJobs { failures: count(table, "failures", base, 1.0, problems)? }
        }
        "isolation" => {
            let mut checks = table.texts("checks", problems);
            if checks.is_empty() {
                checks = if let Some(Watch::Isolation { checks }) = base { checks.clone() } else { Vec::new() };
            }
            if checks.is_empty() {
                wrong(table, "checks", "is required", "name words that the keys of the checks hold", problems);
            }
            Watch::Isolation { checks }
        }
        _ => {
            let remedy = nearest(&word, Watch::WORDS).map_or_else(
                || format!("there are {}", Watch::WORDS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            wrong(table, "watch", &format!("`{word}` cannot be watched"), &remedy, problems);
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let problems = Rules::read(Some(("mine.yaml", text))).unwrap_err();
        problems.iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn the_built_in_table_has_a_rule_for_everything_that_is_watched() {
        let rules = Rules::read(None).unwrap();
        let words: Vec<&str> = rules.all().iter().map(|rule| rule.watch.word()).collect();
        assert_eq!(words, Watch::WORDS);
        assert_eq!(rules.enabled().count(), Watch::WORDS.len());
        let isolation = rules.get("isolation").unwrap();
        assert_eq!((isolation.severity, isolation.silence), (Severity::Error, Duration::ZERO));
    }

    #[test]
    fn a_file_changes_a_rule_in_part_and_adds_its_own() {
        let text = "rules:\n  - { key: source_late, silence: 30m, enabled: false }\n  - { key: dead_letters_over_budget, more_than: 3 }\n  \
                    - { key: many_letters, watch: dead_letters, more_than: 900, severity: error, owner: operations, silence: 0s,\n      \
                    client_safe: Being reviewed., remedy: \"look at {connection}\", runbook: dead_letters_over_budget }\n";
        let rules = Rules::read(Some(("mine.yaml", text))).unwrap();
        let late = rules.get("source_late").unwrap();
        assert_eq!((late.enabled, late.silence), (false, Duration::from_secs(1800)));
        assert_eq!(late.owner, "integration_owner");
        assert_eq!(rules.get("dead_letters_over_budget").unwrap().watch, Watch::DeadLetters { more_than: 3 });
        assert_eq!(rules.get("many_letters").unwrap().watch, Watch::DeadLetters { more_than: 900 });
        assert_eq!(rules.all().len(), Watch::WORDS.len() + 1);
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_file_line_and_remedy() {
        let text = "rules:\n  - key: source_late\n    silense: 4h\n  - key: source_late\n    silence: soon\n  - key: mine\n    watch: late_job\n    \
                    severity: loud\n    owner: a@b.example\n    client_safe: ask 4711\n    remedy: look at {account}\n  - key: missed_webhooks\n    \
                    records: 0\n  - key: throttled\n    share: 7\nrulse: []\n";
        let told = told(text);
        for line in [
            "mine.yaml: line 3: rules[0].silense: is not a known key; did you mean `silence`?",
            "mine.yaml: line 4: rules[1].key: the rule `source_late` stands twice; keep one of the two",
            "`soon` is no duration",
            "line 7: rules[2].watch: `late_job` cannot be watched; did you mean `late_jobs`?",
            "`loud` is no severity; write error or warn",
            "rules[2].owner: is no role",
            "rules[2].client_safe: is more than a client may read",
            "rules[2].remedy: asks for something that is not filled in; there are {connection}, {stream}, {client}",
            "rules[2].runbook: is required",
            "rules[3].records: a number from 1 to 1000000 is expected",
            "rules[4].share: a number from 0.01 to 1 is expected",
            "rulse: is not a known key; did you mean `rules`?",
        ] {
            assert!(told.contains(line), "{line}\nis not in\n{told}");
        }
    }
}
