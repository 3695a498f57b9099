//! Paths into values, as the format's path language has them.
//!
//! Owns the matching: each step is a name, a glob (`*`, `?`, `[abc]`) or an index, `**` stands for any number of steps. Owns
//! the order in which a value is walked (a level first, then each of its parts) and what is done at a path: read, take
//! out, delete, write. Refuses nothing: a path that leads nowhere finds nothing.

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A name or a glob; a text of digits is also an index of a list.
    Text(String),
    /// An index of a list, from the end when negative. Never a name.
    Index(i64),
    /// What fits nothing, such as a number with a point.
    Nothing,
}

impl Step {
    /// A step as a rendered template gives it: its type decides.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(truth) => Self::Index(i64::from(*truth)),
            Value::Number(number) => number.as_i64().map_or(Self::Nothing, Self::Index),
            Value::Null | Value::Array(_) | Value::Object(_) => Self::Nothing,
        }
    }

    /// The step as a name that a path makes; what fits nothing makes none.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Index(index) => Some(index.to_string()),
            Self::Nothing => None,
        }
    }

    /// Whether this is a `*` alone: with one, a path means all that it fits.
    pub fn is_star(&self) -> bool {
        matches!(self, Self::Text(text) if text == "*")
    }

    fn is_deep(&self) -> bool {
        matches!(self, Self::Text(text) if text == "**")
    }

    fn fits(&self, key: &Key<'_>) -> bool {
        match (key, self) {
            (_, Self::Nothing) | (Key::Name(_), Self::Index(_)) => false,
            (Key::Name(name), Self::Text(glob)) => fits(name, glob),
            (Key::Index(at, length), Self::Index(index)) => index_fits(*at, *length, *index),
            (Key::Index(at, length), Self::Text(glob)) => match glob.trim().parse() {
                Ok(index) => index_fits(*at, *length, index) || fits(&at.to_string(), glob),
                Err(_) => fits(&at.to_string(), glob),
            },
        }
    }
}

fn index_fits(at: usize, length: usize, index: i64) -> bool {
    let (at, length) = (i64::try_from(at).unwrap_or(i64::MAX), i64::try_from(length).unwrap_or(i64::MAX));
    at == index || length.checked_add(index) == Some(at)
}

/// Where a value stands in what holds it.
enum Key<'k> {
    Name(&'k str),
    /// The index, and the length of the list.
    Index(usize, usize),
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq)]
enum Taken {
    Name(String),
    Index(usize),
}

/// Whether a glob fits a text as a whole: `*`, `?`, `[abc]`, `[!a-c]`; a `[` without its `]` is itself.
pub fn fits(text: &str, glob: &str) -> bool {
    if !glob.contains(['*', '?', '[']) {
        return text == glob;
    }
    glob_fits(&text.chars().collect::<Vec<_>>(), &glob.chars().collect::<Vec<_>>())
}

fn glob_fits(text: &[char], glob: &[char]) -> bool {
    let Some((head, rest)) = glob.split_first() else { return text.is_empty() };
    match head {
        '*' => (0..=text.len()).any(|skipped| glob_fits(&text[skipped..], rest)),
        '?' => !text.is_empty() && glob_fits(&text[1..], rest),
        '[' => match set(rest) {
            Some((set, negated, after)) => {
                text.first().is_some_and(|c| in_set(*c, set) != negated) && glob_fits(&text[1..], after)
            }
            None => text.first() == Some(&'[') && glob_fits(&text[1..], rest),
        },
        plain => text.first() == Some(plain) && glob_fits(&text[1..], rest),
    }
}

/// The signs of a set, whether it is negated, and what follows it. A `]` in the first place is one of the signs.
fn set(glob: &[char]) -> Option<(&[char], bool, &[char])> {
    let negated = glob.first() == Some(&'!');
    let body = if negated { &glob[1..] } else { glob };
    let from = usize::from(body.first() == Some(&']'));
    let end = body.get(from..)?.iter().position(|c| *c == ']')? + from;
    Some((&body[..end], negated, &body[end + 1..]))
}

fn in_set(c: char, set: &[char]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            if set[at] <= c && c <= set[at + 2] {
                return true;
            }
            at += 3;
        } else {
            if set[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}

/// All values at a path, in the order of the walk.
pub fn values<'v>(body: &'v Value, path: &[Step]) -> Vec<&'v Value> {
    let mut found = Vec::new();
    if path.iter().any(Step::is_deep) {
        let mut all = Vec::new();
        walk(body, &mut Vec::new(), &mut all);
        found.extend(all.into_iter().filter(|(taken, _)| deep_fits(body, taken, path)).map(|(_, value)| value));
    } else {
        look(body, path, &mut |value| found.push(value));
    }
    found
}

/// The one value at a path.
///
/// # Errors
/// That the path fits several.
pub fn get<'v>(body: &'v Value, path: &[Step]) -> Result<Option<&'v Value>, &'static str> {
    if path.is_empty() {
        return Ok(Some(body));
    }
    match values(body, path)[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err("the path fits more than one value"),
    }
}

fn look<'v>(value: &'v Value, path: &[Step], each: &mut dyn FnMut(&'v Value)) {
    let Some((step, rest)) = path.split_first() else { return each(value) };
    match value {
        Value::Object(fields) => match step {
            Step::Text(text) if !text.contains(['*', '?', '[']) => {
                fields.get(text).into_iter().for_each(|value| look(value, rest, each));
            }
            _ => fields
                .iter()
                .filter(|(name, _)| step.fits(&Key::Name(name)))
                .for_each(|(_, value)| look(value, rest, each)),
        },
        Value::Array(items) => {
            let fitting = items.iter().enumerate().filter(|(at, _)| step.fits(&Key::Index(*at, items.len())));
            fitting.for_each(|(_, value)| look(value, rest, each));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// All values at a path, taken out of the body without a copy; what lies inside another one is copied.
pub fn take(mut body: Value, path: &[Step]) -> Vec<Value> {
    if path.is_empty() {
        return vec![body];
    }
    if path.iter().any(Step::is_deep) {
        return values(&body, path).into_iter().cloned().collect();
    }
    let mut found = Vec::new();
    take_out(&mut body, path, &mut found);
    found
}

fn take_out(value: &mut Value, path: &[Step], found: &mut Vec<Value>) {
    let Some((step, rest)) = path.split_first() else {
        found.push(value.take());
        return;
    };
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(name, _)| step.fits(&Key::Name(name)))
            .for_each(|(_, value)| take_out(value, rest, found)),
        Value::Array(items) => {
            let length = items.len();
            let fitting = items.iter_mut().enumerate().filter(|(at, _)| step.fits(&Key::Index(*at, length)));
            fitting.for_each(|(_, value)| take_out(value, rest, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

type Walked<'v> = Vec<(Vec<Taken>, &'v Value)>;

/// Every value below with its path: a level first, then each of its parts.
fn walk<'v>(value: &'v Value, taken: &mut Vec<Taken>, all: &mut Walked<'v>) {
    let children: Vec<(Taken, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (Taken::Name(name.clone()), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (Taken::Index(at), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    for (step, value) in &children {
        all.push((taken.iter().cloned().chain([step.clone()]).collect(), value));
    }
    for (step, value) in children {
        taken.push(step);
        walk(value, taken, all);
        taken.pop();
    }
}

/// Whether a path that was walked fits one with `**`, which stands for none, one or several steps.
fn deep_fits(root: &Value, taken: &[Taken], path: &[Step]) -> bool {
    let Some(deep) = path.iter().position(Step::is_deep) else { return flat_fits(root, taken, path) };
    // Several `**` in one path are no path of the format.
    if path[deep + 1..].iter().any(Step::is_deep) || taken.len() + 1 < path.len() {
        return false;
    }
    let star = Step::Text("*".to_owned());
    let stars = std::iter::repeat_n(star, taken.len() + 1 - path.len());
    let spelled: Vec<_> = path[..deep].iter().cloned().chain(stars).chain(path[deep + 1..].iter().cloned()).collect();
    flat_fits(root, taken, &spelled)
}

fn flat_fits(root: &Value, taken: &[Taken], path: &[Step]) -> bool {
    let mut at = Some(root);
    taken.len() == path.len()
        && taken.iter().zip(path).all(|(taken, step)| {
            let holder = at;
            at = holder.and_then(|value| child(value, taken));
            match taken {
                Taken::Name(name) => step.fits(&Key::Name(name)),
                Taken::Index(index) => {
                    step.fits(&Key::Index(*index, holder.and_then(Value::as_array).map_or(0, Vec::len)))
                }
            }
        })
}

fn child<'v>(value: &'v Value, taken: &Taken) -> Option<&'v Value> {
    match taken {
        Taken::Name(name) => value.as_object()?.get(name),
        Taken::Index(at) => value.as_array()?.get(*at),
    }
}

/// Whether a value is meant.
pub(super) type Condition<'c, E> = &'c mut dyn FnMut(&Value) -> Result<bool, E>;

/// Deletes what lies at a path. An item of a list becomes null, unless it is the last one. With `condition`, every scalar of
/// the whole value for which it holds is deleted instead: that is how the format's own reader applies one.
///
/// # Errors
/// The condition's.
pub fn delete<E>(root: &mut Value, path: &[Step], condition: Option<Condition<'_, E>>) -> Result<(), E> {
    if condition.is_none()
        && let [Step::Text(name)] = path
        && !name.contains(['*', '?', '['])
        && let Value::Object(fields) = root
    {
        fields.shift_remove(name);
        return Ok(());
    }
    let mut doomed = Vec::new();
    let mut all = Vec::new();
    walk(root, &mut Vec::new(), &mut all);
    match condition {
        None => doomed.extend(all.into_iter().map(|(taken, _)| taken).filter(|taken| deep_fits(root, taken, path))),
        Some(holds) => {
            for (taken, value) in all {
                if !value.is_object() && !value.is_array() && holds(value)? {
                    doomed.push(taken);
                }
            }
        }
    }
    doomed.iter().for_each(|taken| drop_at(root, taken));
    Ok(())
}

fn drop_at(root: &mut Value, taken: &[Taken]) {
    let Some((last, parents)) = taken.split_last() else { return };
    let holder = parents.iter().try_fold(root, |at, step| match step {
        Taken::Name(name) => at.as_object_mut()?.get_mut(name),
        Taken::Index(index) => at.as_array_mut()?.get_mut(*index),
    });
    match (holder, last) {
        (Some(Value::Object(fields)), Taken::Name(name)) => {
            fields.shift_remove(name);
        }
        (Some(Value::Array(items)), Taken::Index(index)) if index + 1 == items.len() => {
            items.pop();
        }
        (Some(Value::Array(items)), Taken::Index(index)) => {
            if let Some(item) = items.get_mut(*index) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

/// Writes a value at every place that is there and that a path fits; gives how many those are.
pub fn overwrite(root: &mut Value, path: &[Step], value: &Value) -> usize {
    let mut all = Vec::new();
    walk(root, &mut Vec::new(), &mut all);
    let places = all.into_iter().map(|(taken, _)| taken).filter(|taken| deep_fits(root, taken, path));
    let mut set = 0;
    for taken in places.collect::<Vec<_>>() {
        let place = taken.iter().try_fold(&mut *root, |at, step| match step {
            Taken::Name(name) => at.as_object_mut()?.get_mut(name),
            Taken::Index(index) => at.as_array_mut()?.get_mut(*index),
        });
        // What was written around it before may have taken it away.
        if let Some(place) = place {
            place.clone_from(value);
            set += 1;
        }
    }
    set
}

/// Writes a value at a path of names; what is missing on the way is made: a list where the next step is a number.
///
/// # Errors
/// That something which holds no fields stands in the way.
pub fn put(root: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else { return Err("the path is empty".to_owned()) };
    let is_index = |step: &String| !step.is_empty() && step.chars().all(|c| c.is_ascii_digit());
    let mut at = root;
    for (number, step) in parents.iter().enumerate() {
        let next = slot(at, step)?;
        if next.missing {
            *next.value =
                if is_index(&path[number + 1]) { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
        at = next.value;
        if !at.is_object() && !at.is_array() {
            return Err(format!("'{}' holds no fields", path[..=number].join(".")));
        }
    }
    *slot(at, last)?.value = value;
    Ok(())
}

struct Slot<'v> {
    value: &'v mut Value,
    missing: bool,
}

/// The place of that step, made where it is missing.
fn slot<'v>(at: &'v mut Value, step: &str) -> Result<Slot<'v>, String> {
    match at {
        Value::Object(fields) => {
            let missing = !fields.contains_key(step);
            Ok(Slot { value: fields.entry(step.to_owned()).or_insert(Value::Null), missing })
        }
        Value::Array(items) => {
            let index: usize = step.parse().map_err(|_| format!("'{step}' is no index of a list"))?;
            if index > MAX_INDEX {
                return Err(format!("the index {index} is larger than {MAX_INDEX}"));
            }
            let missing = index >= items.len();
            if missing {
                items.resize(index + 1, Value::Null);
            }
            Ok(Slot { value: &mut items[index], missing })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("'{step}' cannot be set: what should hold it holds no fields"))
        }
    }
}

/// A list is not made longer than this by a path.
const MAX_INDEX: usize = 100_000;

#[cfg(test)]
#[path = "dpath_tests.rs"]
mod tests;
