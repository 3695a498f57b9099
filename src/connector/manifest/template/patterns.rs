//! Regular expressions as the reference's language has them.
//!
//! Owns the few differences to our engine: `$` also stands before a last line end, `\Z` is the very end. A search is bounded: a
//! pattern that would run away is a fault.

use std::{cell::RefCell, rc::Rc};

use fancy_regex::{Regex, RegexBuilder};

use super::fault::{Fault, FaultKind};

/// Compiled patterns that a thread keeps.
const KEPT: usize = 64;
const MAX_STEPS: usize = 1_000_000;

thread_local! {
    static COMPILED: RefCell<Vec<(String, Rc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// Compiles a pattern, once for each thread.
pub(super) fn compile(pattern: &str) -> Result<Rc<Regex>, Fault> {
    let found = COMPILED.with_borrow(|kept| kept.iter().find(|(have, _)| have == pattern).map(|(_, re)| Rc::clone(re)));
    if let Some(found) = found {
        return Ok(found);
    }
    let compiled = RegexBuilder::new(&translated(pattern)).backtrack_limit(MAX_STEPS).build();
    let compiled = compiled.map_err(|_| Fault::new(FaultKind::Pattern, "a regular expression cannot be read"))?;
    let compiled = Rc::new(compiled);
    COMPILED.with_borrow_mut(|kept| {
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((pattern.to_owned(), Rc::clone(&compiled)));
    });
    Ok(compiled)
}

fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') if !in_class => out.push_str("\\z"),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                let mut rest = chars.clone();
                let mut next = rest.next();
                if next == Some('^') {
                    out.push('^');
                    chars.next();
                    next = rest.next();
                }
                if next == Some(']') {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '$' if !in_class && !pattern.contains("(?m") => out.push_str("(?=\\n?\\z)"),
            // Set operations of our engine, which Python does not have.
            c @ ('&' | '~') if in_class => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn ran_away(_: fancy_regex::Error) -> Fault {
    Fault::new(FaultKind::Bound, "a regular expression takes too long")
}

/// The first group of the first match; empty where there is none.
pub(super) fn search(text: &str, pattern: &str) -> Result<String, Fault> {
    let compiled = compile(pattern)?;
    let found = compiled.captures(text).map_err(ran_away)?;
    Ok(found.and_then(|groups| groups.get(1).map(|group| group.as_str().to_owned())).unwrap_or_default())
}

/// Whether the first match has a first group that took no part, which the reference gives as `None`.
pub(super) fn first_group_is_none(text: &str, pattern: &str) -> Result<bool, Fault> {
    let compiled = compile(pattern)?;
    let found = compiled.captures(text).map_err(ran_away)?;
    Ok(found.is_some_and(|groups| groups.len() > 1 && groups.get(1).is_none()))
}

/// All matches replaced; `\1` and `\g<name>` in the replacement stand for groups.
pub(super) fn replace(text: &str, pattern: &str, with: &str) -> Result<String, Fault> {
    let compiled = compile(pattern)?;
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for found in compiled.captures_iter(text) {
        let found = found.map_err(ran_away)?;
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        expand(with, &found, &mut out)?;
        last = whole.end();
        if out.len() > super::print::MAX_TEXT {
            return Err(Fault::too_large());
        }
    }
    out.push_str(&text[last..]);
    Ok(out)
}

fn expand(with: &str, found: &fancy_regex::Captures<'_>, out: &mut String) -> Result<(), Fault> {
    let broken = || Fault::new(FaultKind::Pattern, "a replacement names a group that is not there");
    let mut rest = with;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(named) = tail.strip_prefix("g<") {
            let end = named.find('>').ok_or_else(broken)?;
            let name = &named[..end];
            let group = match name.parse::<usize>() {
                Ok(index) if index < found.len() => found.get(index),
                Ok(_) => return Err(broken()),
                Err(_) => found.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()));
            rest = &named[end + 1..];
            continue;
        }
        let digits = tail.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if digits > 0 && !tail.starts_with('0') {
            let index: usize = tail[..digits].parse().map_err(|_| broken())?;
            if index >= found.len() {
                return Err(broken());
            }
            out.push_str(found.get(index).map_or("", |group| group.as_str()));
            rest = &tail[digits..];
            continue;
        }
        let next = tail.chars().next().ok_or_else(broken)?;
        match next {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '\\' => out.push('\\'),
            c if c.is_ascii_alphabetic() => return Err(broken()),
            c => out.extend(['\\', c]),
        }
        rest = &tail[next.len_utf8()..];
    }
    out.push_str(rest);
    Ok(())
}
