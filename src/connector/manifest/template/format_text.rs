//! Formatting: `str.format` with its little language, and the `%` operator.

use num_bigint::BigInt;

use super::{
    access,
    compare::{self, Number, number},
    fault::{Fault, FaultKind},
    passed::Passed,
    print::{self, MAX_TEXT},
    value::{Text, Val},
};

/// Widths and precisions beyond this are refused.
const MAX_WIDTH: usize = 10_000;

fn broken() -> Fault {
    Fault::value("a format cannot be read")
}

/// `'{} {name}'.format(...)`.
pub(super) fn braces(format: &str, passed: &Passed<'_>) -> Result<String, Fault> {
    let named = |name: &str| passed.named.iter().find(|(have, _)| *have == name).map(|(_, value)| value.clone());
    fill(format, &passed.positional, &named)
}

/// `'{name}'.format_map(map)`.
pub(super) fn braces_of(format: &str, map: Val<'_>) -> Result<String, Fault> {
    let named = |name: &str| access::item(&map, &Val::text(name)).ok().flatten();
    fill(format, &[], &named)
}

fn fill<'v>(format: &str, positional: &[Val<'v>], named: &dyn Fn(&str) -> Option<Val<'v>>) -> Result<String, Fault> {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let mark = &rest[at..at + 1];
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix(mark) {
            out.push_str(mark);
            rest = after;
            continue;
        }
        if mark == "}" {
            return Err(broken());
        }
        let end = tail.find('}').ok_or_else(broken)?;
        let (field, spec) = tail[..end].split_once(':').unwrap_or((&tail[..end], ""));
        let (field, conversion) = field.split_once('!').map_or((field, None), |(f, c)| (f, Some(c)));
        if spec.contains('{') {
            return Err(Fault::unsupported("a format inside of a format is not supported"));
        }
        let stop = field.find(['.', '[']).unwrap_or(field.len());
        let (first, mut path) = field.split_at(stop);
        let mut value = if first.is_empty() || first.bytes().all(|byte| byte.is_ascii_digit()) {
            let index = if first.is_empty() { next } else { first.parse().map_err(|_| broken())? };
            next += usize::from(first.is_empty());
            let value = positional.get(index).cloned();
            value.ok_or_else(|| Fault::new(FaultKind::Index, "a format names a value that is not passed"))?
        } else {
            named(first).ok_or_else(|| Fault::new(FaultKind::Key, "a format names a value that is not passed"))?
        };
        while !path.is_empty() {
            let bracket = path.starts_with('[');
            let tail = &path[1..];
            let end =
                if bracket { tail.find(']').ok_or_else(broken)? } else { tail.find(['.', '[']).unwrap_or(tail.len()) };
            let key = tail[..end].parse().map_or_else(|_| Val::text(&tail[..end]), Val::Int);
            value = access::subscript(&value, &key)?;
            path = &tail[end + usize::from(bracket)..];
        }
        match conversion {
            None => out.push_str(&formatted(&value, spec)?),
            Some("r" | "a") => {
                let mut text = String::new();
                print::repr(&value, &mut text, 0)?;
                out.push_str(&formatted(&Val::text(text), spec)?);
            }
            Some("s") => out.push_str(&formatted(&Val::text(print::text(&value)?), spec)?),
            Some(_) => return Err(broken()),
        }
        if out.len() > MAX_TEXT {
            return Err(Fault::too_large());
        }
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[derive(Debug, Clone, Copy, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternative: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Fault> {
    let mut found = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        let width = found.unwrap_or(0) * 10 + digit as usize;
        if width > MAX_WIDTH {
            return Err(Fault::too_large());
        }
        found = Some(width);
        chars.next();
    }
    Ok(found)
}

fn read(spec: &str) -> Result<Spec, Fault> {
    let mut found = Spec::default();
    let is_align = |c: &char| matches!(c, '<' | '>' | '^' | '=');
    let mut ahead = spec.chars();
    let (first, second) = (ahead.next(), ahead.next());
    let mut chars = spec.chars().peekable();
    if second.as_ref().is_some_and(is_align) {
        found.fill = chars.next();
        found.align = chars.next();
    } else if first.as_ref().is_some_and(is_align) {
        found.align = chars.next();
    }
    found.sign = chars.next_if(|c| matches!(c, '+' | '-' | ' '));
    found.alternative = chars.next_if_eq(&'#').is_some();
    if chars.next_if_eq(&'0').is_some() && found.align.is_none() {
        (found.fill, found.align) = (Some('0'), Some('='));
    }
    found.width = digits(&mut chars)?.unwrap_or(0);
    found.grouping = chars.next_if(|c| matches!(c, ',' | '_'));
    if chars.next_if_eq(&'.').is_some() {
        found.precision = Some(digits(&mut chars)?.ok_or_else(broken)?);
    }
    found.kind = chars.next();
    if chars.next().is_some() { Err(broken()) } else { Ok(found) }
}

fn padded(body: &str, sign: &str, spec: Spec, usual: char) -> String {
    let gap = spec.width.saturating_sub(body.chars().count() + sign.chars().count());
    let fill = |count| std::iter::repeat_n(spec.fill.unwrap_or(' '), count).collect::<String>();
    match spec.align.unwrap_or(usual) {
        '<' => format!("{sign}{body}{}", fill(gap)),
        '^' => format!("{}{sign}{body}{}", fill(gap / 2), fill(gap - gap / 2)),
        '=' => format!("{sign}{}{body}", fill(gap)),
        _ => format!("{}{sign}{body}", fill(gap)),
    }
}

fn grouped(body: &str, separator: Option<char>) -> String {
    let Some(separator) = separator else { return body.to_owned() };
    let end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let mut out = String::new();
    for (at, c) in body[..end].char_indices() {
        if at > 0 && (end - at) % 3 == 0 {
            out.push(separator);
        }
        out.push(c);
    }
    out + &body[end..]
}

/// One value by its format.
fn formatted(value: &Val<'_>, spec: &str) -> Result<String, Fault> {
    if spec.is_empty() {
        return print::text(value);
    }
    match value {
        Val::Moment(at) => return Ok(super::strftime::strftime(spec, at.wall, at.zone)),
        Val::Date(date) => return Ok(super::strftime::strftime(spec, date.midnight().wall, None)),
        _ => {}
    }
    let spec = read(spec)?;
    match (value, number(value)) {
        (Val::Text(text), _) => {
            if !matches!(spec.kind, None | Some('s')) || spec.align == Some('=') && spec.fill != Some('0') {
                return Err(broken());
            }
            let text: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
            let spec = if spec.align == Some('=') { Spec { align: Some('<'), ..spec } } else { spec };
            Ok(padded(&text, "", spec, '<'))
        }
        (_, Some(number)) => numeric(&number, spec),
        _ => Err(Fault::wrong_type("the value takes no format")),
    }
}

fn numeric(value: &Number, spec: Spec) -> Result<String, Fault> {
    let (negative, body) = match (value, spec.kind) {
        (Number::Int(int), None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b' | 'c')) => {
            if spec.precision.is_some() {
                return Err(broken());
            }
            (int.sign() == num_bigint::Sign::Minus, integer(int, spec))
        }
        (value, kind) => {
            let float = match value {
                Number::Int(int) => compare::to_float(int),
                Number::Float(float) => *float,
            };
            (
                float.is_sign_negative() && !float.is_nan(),
                floating(float.abs(), kind, spec.precision, spec.alternative)?,
            )
        }
    };
    let sign = match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    Ok(padded(&grouped(&body, spec.grouping), sign, spec, '>'))
}

fn integer(int: &BigInt, spec: Spec) -> String {
    let size = int.magnitude();
    let prefix = |prefix: &str| if spec.alternative { prefix.to_owned() } else { String::new() };
    match spec.kind {
        Some('x') => prefix("0x") + &size.to_str_radix(16),
        Some('X') => prefix("0X") + &size.to_str_radix(16).to_uppercase(),
        Some('o') => prefix("0o") + &size.to_str_radix(8),
        Some('b') => prefix("0b") + &size.to_str_radix(2),
        _ => size.to_string(),
    }
}

/// A float that is not negative.
fn floating(float: f64, kind: Option<char>, precision: Option<usize>, keep: bool) -> Result<String, Fault> {
    if !float.is_finite() {
        return Ok(if float.is_nan() { "nan" } else { "inf" }.to_owned());
    }
    let exponential = |digits: usize| {
        let text = format!("{float:.digits$e}");
        let (body, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        (
            body.to_owned(),
            format!("e{sign}{exponent:0>2}"),
            exponent.parse::<i64>().unwrap_or(0) * if sign == '-' { -1 } else { 1 },
        )
    };
    Ok(match kind {
        Some('f' | 'F') => format!("{float:.*}", precision.unwrap_or(6)),
        Some('%') => format!("{:.*}%", precision.unwrap_or(6), float * 100.0),
        Some('e' | 'E') => {
            let (body, exponent, _) = exponential(precision.unwrap_or(6));
            body + &exponent
        }
        None if precision.is_none() => crate::connector::manifest::python::float_repr(float),
        None | Some('g' | 'G' | 'n') => {
            let digits = precision.unwrap_or(6).max(1);
            let (body, exponent, size) = exponential(digits - 1);
            let wanted = i64::try_from(digits).unwrap_or(i64::MAX);
            let large = if kind.is_none() { size >= wanted - 1 && size >= wanted } else { size >= wanted };
            let trim = |text: String| {
                if keep || !text.contains('.') {
                    text
                } else {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                }
            };
            if size < -4 || large {
                trim(body) + &exponent
            } else {
                trim(format!("{float:.*}", usize::try_from(wanted - 1 - size).unwrap_or(0)))
            }
        }
        Some(_) => return Err(broken()),
    })
}

/// `format % values`.
pub(super) fn percent<'a>(format: &str, values: &Val<'a>) -> Result<Val<'a>, Fault> {
    let list = match values {
        Val::Tuple(items) => items.to_vec(),
        one => vec![one.clone()],
    };
    let (mut used, mut by_name) = (0, false);
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('%') {
            out.push('%');
            rest = tail;
            continue;
        }
        let mut value = None;
        if let Some(tail) = rest.strip_prefix('(') {
            let end = tail.find(')').ok_or_else(broken)?;
            if !values.is_map() {
                return Err(Fault::wrong_type("a format needs a dict"));
            }
            let found = access::item(values, &Val::Text(Text::from(tail[..end].to_owned())))?;
            value = Some(found.ok_or_else(|| Fault::new(FaultKind::Key, "a format names a value that is not passed"))?);
            by_name = true;
            rest = &tail[end + 1..];
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(broken)?;
        let (flags, kind) = (&rest[..end], &rest[end..=end]);
        rest = &rest[end + 1..];
        let value = match value {
            Some(value) => value,
            None => {
                used += 1;
                list.get(used - 1).cloned().ok_or_else(|| Fault::wrong_type("a format has too few values"))?
            }
        };
        out.push_str(&one_percent(flags, kind, &value)?);
        if out.len() > MAX_TEXT {
            return Err(Fault::too_large());
        }
    }
    out.push_str(rest);
    let all_used = used >= list.len() || by_name || values.is_map() || values.is_list();
    if all_used { Ok(Val::text(out)) } else { Err(Fault::wrong_type("a format leaves values over")) }
}

fn one_percent(flags: &str, kind: &str, value: &Val<'_>) -> Result<String, Fault> {
    let bare = flags.trim_start_matches(['-', '+', ' ', '#', '0']);
    let set = &flags[..flags.len() - bare.len()];
    let (width, precision) = bare.split_once('.').map_or((bare, None), |(width, rest)| (width, Some(rest)));
    let count = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<usize>().map_err(|_| broken()) };
    let mut spec = Spec { width: count(width)?, precision: precision.map(count).transpose()?, ..Spec::default() };
    if spec.width > MAX_WIDTH || spec.precision.unwrap_or(0) > MAX_WIDTH {
        return Err(Fault::too_large());
    }
    spec.alternative = set.contains('#');
    spec.sign = set.contains('+').then_some('+').or_else(|| set.contains(' ').then_some(' '));
    spec.align = set.contains('-').then_some('<');
    let kind = kind.chars().next().unwrap_or('s');
    if matches!(kind, 's' | 'r' | 'a') {
        let mut text = String::new();
        if kind == 's' {
            print::print(value, &mut text)?
        } else {
            print::repr(value, &mut text, 0)?
        }
        let text: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
        return Ok(padded(&text, "", spec, '>'));
    }
    value.used()?;
    if set.contains('0') && spec.align.is_none() {
        (spec.fill, spec.align) = (Some('0'), Some('='));
    }
    let number = number(value).ok_or_else(|| Fault::wrong_type("a format needs a number"))?;
    match kind {
        'd' | 'i' | 'u' => {
            let int = match number {
                Number::Int(int) => int,
                Number::Float(float) => super::filters_number::whole(float)?,
            };
            let least = spec.precision.take().unwrap_or(0);
            let body = format!("{:0>least$}", integer(&int, Spec::default()));
            let sign = if int.sign() == num_bigint::Sign::Minus {
                "-"
            } else {
                spec.sign.map_or("", |c| if c == '+' { "+" } else { " " })
            };
            Ok(padded(&body, sign, spec, '>'))
        }
        'x' | 'X' | 'o' if matches!(number, Number::Int(_)) => {
            numeric(&number, Spec { kind: Some(kind), precision: None, ..spec })
        }
        'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
            let float = match &number {
                Number::Int(int) => Number::Float(compare::to_float(int)),
                Number::Float(float) => Number::Float(*float),
            };
            numeric(&float, Spec { kind: Some(kind), ..spec })
        }
        'x' | 'X' | 'o' => Err(Fault::wrong_type("a format needs a whole number")),
        _ => Err(broken()),
    }
}
