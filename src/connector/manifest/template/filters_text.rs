//! Filters on texts. All but a few print a value first, so that they take any.

use super::{
    evaluate::Run,
    fault::{Fault, FaultKind},
    format_text,
    globals::quote,
    methods_text::{self, lines},
    passed::{Passed, flag, may_int, may_text, needs_int, needs_text},
    print::{self, MAX_TEXT},
    value::{Text, Val},
};

macro_rules! plain {
    ($($name:ident: $make:expr;)+) => {
        $(pub(super) fn $name<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
            passed.nothing()?;
            let make: fn(&str) -> String = $make;
            Ok(Val::text(make(&print::text(&value)?)))
        })+
    };
}

plain! {
    lower: str::to_lowercase;
    upper: str::to_uppercase;
    capitalize: methods_text::capitalize;
    title: title_words;
    safe: str::to_owned;
    escape: escaped;
    striptags: without_tags;
}

/// Each word after a blank, a dash or an opening bracket gets a large letter.
fn title_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts = true;
    for c in text.chars() {
        if starts {
            out.extend(c.to_uppercase())
        } else {
            out.extend(c.to_lowercase())
        }
        starts = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('>', "&gt;").replace('<', "&lt;").replace('\'', "&#39;").replace('"', "&#34;")
}

fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else { break };
        out.push_str(&rest[..at]);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    let words: Vec<_> = out.split_whitespace().collect();
    let names = [("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&#34;", "\""), ("&quot;", "\""), ("&amp;", "&")];
    names.iter().fold(words.join(" "), |text, (name, sign)| text.replace(name, sign))
}

pub(super) fn trim<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [chars] = passed.fit(["chars"], 0)?;
    let text = Text::from(print::text(&value)?);
    methods_text::call(&text, "strip", Passed::of(chars.into_iter().collect()))
}

pub(super) fn center<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [width] = passed.fit(["width"], 0)?;
    let text = Text::from(print::text(&value)?);
    methods_text::call(&text, "center", Passed::of(vec![width.unwrap_or(Val::Int(80))]))
}

pub(super) fn replace<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [old, new, count] = passed.fit(["old", "new", "count"], 2)?;
    let part = |part: Option<Val<'a>>| print::text(&part.unwrap_or(Val::None));
    let count = may_int(count)?.unwrap_or(-1);
    methods_text::replaced(&print::text(&value)?, &part(old)?, &part(new)?, count).map(Val::text)
}

pub(super) fn format<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    if !passed.positional.is_empty() && !passed.named.is_empty() {
        return Err(Fault::new(FaultKind::FilterArgument, "a format takes values by place or by name, not both"));
    }
    let values = if passed.named.is_empty() {
        Val::tuple(passed.positional)
    } else {
        Val::dict(passed.named.into_iter().map(|(name, value)| (Val::Text(Text::Of(name)), value)).collect())
    };
    format_text::percent(&print::text(&value)?, &values)
}

pub(super) fn indent<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [width, first, blank] = passed.fit(["width", "first", "blank"], 0)?;
    let indention = match width {
        Some(Val::Text(text)) => text.to_string(),
        width => " ".repeat(usize::try_from(may_int(width)?.unwrap_or(4)).unwrap_or(0).min(1_000)),
    };
    let (first, blank) = (flag(first)?, flag(blank)?);
    value.used()?;
    let text = value.as_text().ok_or_else(|| Fault::wrong_type("only a text can be indented"))?.to_owned() + "\n";
    let mut out = if first { indention.clone() } else { String::new() };
    for (at, line) in lines(&text, false).into_iter().enumerate() {
        if at > 0 {
            out.push('\n');
            out.push_str(if blank || !line.is_empty() { &indention } else { "" });
        }
        out.push_str(line);
        if out.len() > MAX_TEXT {
            return Err(Fault::too_large());
        }
    }
    Ok(Val::text(out))
}

pub(super) fn truncate<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [length, kill, end, leeway] = passed.fit(["length", "killwords", "end", "leeway"], 0)?;
    let length = usize::try_from(length.map_or(Ok(255), |length| needs_int(Some(length)))?).unwrap_or(0);
    let end = end.map(|end| needs_text(Some(end))).transpose()?;
    let end = end.as_deref().unwrap_or("...");
    let leeway = usize::try_from(may_int(leeway)?.unwrap_or(5)).unwrap_or(0);
    value.used()?;
    let text = value.as_text().ok_or_else(|| Fault::wrong_type("only a text can be cut"))?;
    let size = end.chars().count();
    if length < size {
        return Err(Fault::new(FaultKind::Runtime, "the length is less than that of the end"));
    }
    if text.chars().count() <= length + leeway {
        return Ok(value);
    }
    let cut: String = text.chars().take(length - size).collect();
    let kept = if flag(kill)? { cut.as_str() } else { cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words) };
    Ok(Val::text(format!("{kept}{end}")))
}

pub(super) fn wordcount<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    passed.nothing()?;
    let text = print::text(&value)?;
    let words = text.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty());
    Ok(Val::count(words.count()))
}

pub(super) fn pprint<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    passed.nothing()?;
    let mut out = String::new();
    print::repr(&value, &mut out, 0)?;
    if out.len() > 80 {
        Err(Fault::unsupported("a long value cannot be shown over several lines"))
    } else {
        Ok(Val::text(out))
    }
}

pub(super) fn tojson<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [indent] = passed.fit(["indent"], 0)?;
    let indent = may_int(indent)?.map(|indent| usize::try_from(indent).unwrap_or(0).min(100));
    let text = print::json_text(&value, true, indent)?;
    let safe = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027");
    Ok(Val::text(safe))
}

fn quoted(value: &Val<'_>, query: bool) -> Result<String, Fault> {
    let text = match value {
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => print::text(other)?,
    };
    Ok(quote(&text, if query { "" } else { "/" }, query))
}

pub(super) fn urlencode<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    passed.nothing()?;
    if matches!(value, Val::Text(_)) || !value.is_iterable() {
        return quoted(&value, false).map(Val::text);
    }
    let pairs = if matches!(value, Val::Undefined) { Vec::new() } else { super::methods::pairs_of(&value)? };
    let mut parts = Vec::new();
    for (key, value) in pairs {
        parts.push(format!("{}={}", quoted(&key, true)?, quoted(&value, true)?));
    }
    Ok(Val::text(parts.join("&")))
}

pub(super) fn filesizeformat<'a>(run: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [binary] = passed.fit(["binary"], 0)?;
    let binary = flag(binary)?;
    may_text(None)?;
    let Val::Float(bytes) = super::filters_number::float(run, value, Passed::default())? else {
        return Err(Fault::value("the size is not a number"));
    };
    let base = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok(Val::text("1 Byte"));
    }
    if bytes < base {
        return Ok(Val::text(format!("{} Bytes", bytes.trunc())));
    }
    let units = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut unit = base;
    for (at, name) in units.iter().enumerate() {
        unit *= base;
        if bytes < unit || at == units.len() - 1 {
            let name = if binary { format!("{}iB", name.to_uppercase()) } else { format!("{name}B") };
            return Ok(Val::text(format!("{:.1} {name}", base * bytes / unit)));
        }
    }
    Err(Fault::value("the size is not a number"))
}
