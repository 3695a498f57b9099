//! Methods of texts.

use super::{
    fault::{Fault, FaultKind},
    format_text,
    passed::{Passed, flag, may_int, may_text, needs_int, needs_text},
    print::MAX_TEXT,
    value::{Text, Val},
};

pub(super) const NAMES: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

/// Python's white space is the same as Rust's, and four separators more.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(super) fn call<'a>(of: &Text<'a>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    match name {
        "format" => return format_text::braces(of, &passed).map(Val::text),
        "format_map" => {
            let [map] = passed.plain(1)?;
            return format_text::braces_of(of, map.unwrap_or(Val::None)).map(Val::text);
        }
        "split" | "rsplit" => return split(of, name == "rsplit", passed),
        "strip" | "lstrip" | "rstrip" => return strip(of, name, passed),
        "startswith" | "endswith" => return affix(of, name == "startswith", passed).map(Val::Bool),
        "replace" => return replace(of, passed),
        "find" | "rfind" | "index" | "rindex" | "count" => return find(of, name, passed),
        "center" | "ljust" | "rjust" => return justify(of, name, passed),
        "join" => {
            let [items] = passed.plain(1)?;
            let items = items.unwrap_or(Val::None).items()?;
            let mut out = String::new();
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { of } else { "" });
                out.push_str(item.as_text().ok_or_else(|| Fault::wrong_type("only texts can be joined"))?);
                if out.len() > MAX_TEXT {
                    return Err(Fault::too_large());
                }
            }
            return Ok(Val::text(out));
        }
        "partition" | "rpartition" => {
            let [separator] = passed.plain(1)?;
            let separator = needs_text(separator)?;
            if separator.is_empty() {
                return Err(Fault::value("the separator is empty"));
            }
            let last = name == "rpartition";
            let found = if last { of.rsplit_once(&*separator) } else { of.split_once(&*separator) };
            let parts = match found {
                Some((before, after)) => [before, &separator, after],
                None if last => ["", "", of],
                None => [of, "", ""],
            };
            return Ok(Val::tuple(parts.map(Val::text).to_vec()));
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = passed.plain(1)?;
            let affix = needs_text(affix)?;
            let bare = if name == "removeprefix" { of.strip_prefix(&*affix) } else { of.strip_suffix(&*affix) };
            return Ok(bare.map_or_else(|| Val::Text(of.clone()), Val::text));
        }
        "splitlines" => {
            let [keep] = passed.fit(["keepends"], 0)?;
            let keep = flag(keep)?;
            return Ok(Val::list(lines(of, keep).into_iter().map(Val::text).collect()));
        }
        "encode" => {
            let [encoding, _] = passed.fit(["encoding", "errors"], 0)?;
            let ascii = may_text(encoding)?.is_some_and(|encoding| encoding.eq_ignore_ascii_case("ascii"));
            if ascii && !of.is_ascii() {
                return Err(Fault::value("the text is not ASCII"));
            }
            return Ok(Val::Bytes(of.as_bytes().into()));
        }
        "zfill" => {
            let [width] = passed.plain(1)?;
            let width = usize::try_from(needs_int(width)?).unwrap_or(0).min(MAX_TEXT);
            let (sign, digits) = if of.starts_with(['+', '-']) { of.split_at(1) } else { ("", &**of) };
            let zeros = "0".repeat(width.saturating_sub(of.chars().count()));
            return Ok(Val::text(format!("{sign}{zeros}{digits}")));
        }
        "expandtabs" => {
            let [size] = passed.fit(["tabsize"], 0)?;
            let size = usize::try_from(may_int(size)?.unwrap_or(8)).unwrap_or(0).min(1_000);
            return Ok(Val::text(expand_tabs(of, size)));
        }
        _ => {}
    }
    passed.nothing()?;
    let cased = |wanted: fn(char) -> bool, other: fn(char) -> bool| of.chars().any(wanted) && !of.chars().any(other);
    let all = |wanted: fn(char) -> bool| !of.is_empty() && of.chars().all(wanted);
    Ok(match name {
        "lower" => Val::text(of.to_lowercase()),
        "casefold" => Val::text(of.to_lowercase().replace('\u{df}', "ss")),
        "upper" => Val::text(of.to_uppercase()),
        "capitalize" => Val::text(capitalize(of)),
        "title" => Val::text(title(of)),
        "swapcase" => Val::text(
            of.chars()
                .flat_map(|c| {
                    let swapped: Vec<char> =
                        if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() };
                    swapped
                })
                .collect::<String>(),
        ),
        "isalnum" => Val::Bool(all(char::is_alphanumeric)),
        "isalpha" => Val::Bool(all(char::is_alphabetic)),
        "isascii" => Val::Bool(of.is_ascii()),
        "isdecimal" | "isdigit" => Val::Bool(all(|c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric()))),
        "isnumeric" => Val::Bool(all(char::is_numeric)),
        "isidentifier" => {
            let starts = of.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic());
            Val::Bool(starts && of.chars().all(|c| c == '_' || c.is_alphanumeric()))
        }
        "islower" => Val::Bool(cased(char::is_lowercase, char::is_uppercase)),
        "isupper" => Val::Bool(cased(char::is_uppercase, char::is_lowercase)),
        "isspace" => Val::Bool(all(is_space)),
        "istitle" => Val::Bool(of.chars().any(char::is_alphabetic) && **of == *title(of)),
        _ => return Err(Fault::unsupported("a method of texts is not supported")),
    })
}

/// The first letter large, the rest small.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    first + &chars.as_str().to_lowercase()
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_alphabetic();
    }
    out
}

/// The lines of a text, with or without their ends.
pub(super) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let breaks = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(breaks) {
        let broken = &rest[at..];
        let size = if broken.starts_with("\r\n") { 2 } else { broken.chars().next().map_or(1, char::len_utf8) };
        found.push(&rest[..if keep { at + size } else { at }]);
        rest = &rest[at + size..];
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

fn expand_tabs(text: &str, size: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let blanks = if size == 0 { 0 } else { size - column % size };
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// A piece of a text without copying where it can be.
fn piece<'a>(of: &Text<'a>, part: &str) -> Val<'a> {
    match of {
        Text::Of(whole) => {
            let from = part.as_ptr() as usize - whole.as_ptr() as usize;
            Val::Text(Text::Of(&whole[from..from + part.len()]))
        }
        Text::Own(_) => Val::text(part),
    }
}

fn split<'a>(of: &Text<'a>, from_end: bool, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [separator, most] = passed.fit(["sep", "maxsplit"], 0)?;
    let most = most.map_or(Ok(-1), |most| needs_int(Some(most)))?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let Some(separator) = may_text(separator)? else { return Ok(Val::list(words(of, from_end, most))) };
    if separator.is_empty() {
        return Err(Fault::value("the separator is empty"));
    }
    let parts: Vec<_> = if from_end {
        let mut parts: Vec<_> = of.rsplitn(most.saturating_add(1), &*separator).map(|part| piece(of, part)).collect();
        parts.reverse();
        parts
    } else {
        of.splitn(most.saturating_add(1), &*separator).map(|part| piece(of, part)).collect()
    };
    Ok(Val::list(parts))
}

fn words<'a>(of: &Text<'a>, from_end: bool, most: usize) -> Vec<Val<'a>> {
    let mut parts = Vec::new();
    let mut rest = of.trim_matches(is_space);
    while !rest.is_empty() {
        let at = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        let (Some(at), true) = (at, parts.len() < most) else {
            // What is left keeps the white space of its far end.
            let whole: &str = of;
            let offset = rest.as_ptr() as usize - whole.as_ptr() as usize;
            let kept = if from_end { &whole[..offset + rest.len()] } else { &whole[offset..] };
            let single = at.is_none();
            parts.push(piece(of, if single { rest } else { kept }));
            break;
        };
        let size = rest[at..].chars().next().map_or(1, char::len_utf8);
        if from_end {
            parts.push(piece(of, &rest[at + size..]));
            rest = rest[..at].trim_end_matches(is_space);
        } else {
            parts.push(piece(of, &rest[..at]));
            rest = rest[at..].trim_start_matches(is_space);
        }
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn strip<'a>(of: &Text<'a>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [chars] = passed.plain(0)?;
    let chars = may_text(chars)?;
    let goes = |c: char| chars.as_ref().map_or_else(|| is_space(c), |chars| chars.contains(c));
    let part = match name {
        "strip" => of.trim_matches(goes),
        "lstrip" => of.trim_start_matches(goes),
        _ => of.trim_end_matches(goes),
    };
    Ok(piece(of, part))
}

/// The part between two indices, and the index of its first character.
fn window<'t>(of: &'t str, from: Option<Val<'_>>, to: Option<Val<'_>>) -> Result<Option<(&'t str, usize)>, Fault> {
    let (from, to) = (may_int(from)?, may_int(to)?);
    if from.is_none() && to.is_none() {
        return Ok(Some((of, 0)));
    }
    let starts: Vec<usize> = of.char_indices().map(|(at, _)| at).chain([of.len()]).collect();
    let length = i64::try_from(starts.len() - 1).unwrap_or(i64::MAX);
    let bound = |index: i64| if index < 0 { (index + length).max(0) } else { index };
    let (from, to) = (bound(from.unwrap_or(0)), bound(to.unwrap_or(length)).min(length));
    if from > length || from > to {
        return Ok(None);
    }
    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
    Ok(Some((&of[starts[from]..starts[to]], from)))
}

fn affix<'a>(of: &Text<'a>, front: bool, passed: Passed<'a>) -> Result<bool, Fault> {
    let [affix, from, to] = passed.plain(1)?;
    let Some((part, _)) = window(of, from, to)? else { return Ok(false) };
    let one = |affix: &str| if front { part.starts_with(affix) } else { part.ends_with(affix) };
    if let Some(Val::Tuple(all)) = &affix {
        let mut found = false;
        for affix in all.iter() {
            found |= one(&needs_text(Some(affix.clone()))?);
        }
        return Ok(found);
    }
    Ok(one(&needs_text(affix)?))
}

fn replace<'a>(of: &Text<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [old, new, count] = passed.plain(2)?;
    let (old, new) = (needs_text(old)?, needs_text(new)?);
    let count = count.map_or(Ok(-1), |count| needs_int(Some(count)))?;
    Ok(Val::text(replaced(of, &old, &new, count)?))
}

/// `count` replacements, all when it is negative.
pub(super) fn replaced(text: &str, old: &str, new: &str, count: i64) -> Result<String, Fault> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let matches = if old.is_empty() { text.len() + 1 } else { text.len() / old.len() };
    if matches.min(most).saturating_mul(new.len()) > MAX_TEXT {
        return Err(Fault::too_large());
    }
    Ok(text.replacen(old, new, most))
}

fn find<'a>(of: &Text<'a>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [part, from, to] = passed.plain(1)?;
    let part = needs_text(part)?;
    let found = window(of, from, to)?;
    if name == "count" {
        let Some((within, _)) = found else { return Ok(Val::Int(0)) };
        let times = if part.is_empty() { within.chars().count() + 1 } else { within.matches(&*part).count() };
        return Ok(Val::count(times));
    }
    let at = found.and_then(|(within, first)| {
        let at = if name.starts_with('r') { within.rfind(&*part) } else { within.find(&*part) }?;
        Some(first + within[..at].chars().count())
    });
    match at {
        Some(at) => Ok(Val::count(at)),
        None if name.ends_with("find") => Ok(Val::Int(-1)),
        None => Err(Fault::new(FaultKind::Value, "the part is not in the text")),
    }
}

fn justify<'a>(of: &Text<'a>, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [width, fill] = passed.plain(1)?;
    let width = usize::try_from(needs_int(width)?).unwrap_or(0);
    let fill = fill.map(|fill| needs_text(Some(fill))).transpose()?;
    let fill = fill.as_deref().unwrap_or(" ");
    let mut chars = fill.chars();
    let (Some(fill), None) = (chars.next(), chars.next()) else {
        return Err(Fault::wrong_type("the filling is not one character"));
    };
    if width > MAX_TEXT {
        return Err(Fault::too_large());
    }
    let length = of.chars().count();
    let gap = width.saturating_sub(length);
    let before = match name {
        "ljust" => 0,
        "rjust" => gap,
        // Python puts the odd blank before when the width is odd.
        _ => gap / 2 + (gap & width & 1),
    };
    let fill = |count| std::iter::repeat_n(fill, count);
    Ok(Val::text(fill(before).chain(of.chars()).chain(fill(gap - before)).collect::<String>()))
}
