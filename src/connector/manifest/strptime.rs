//! Reading times by Python's `strptime` directives.
//!
//! Owns the reading of one text by one format: the reference matches a regular expression that it makes of the format, so this
//! does, too; texts in the usual full form are read without it. English names only.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime};
use regex::{Captures, Regex, RegexBuilder};

use super::template::{DAYS, MONTHS};

/// A format ready to read.
#[derive(Debug, Clone)]
pub struct Reader {
    pattern: Regex,
    /// The format where it holds nothing but whole numeric directives, for the quick way.
    quick: Option<Box<[Part]>>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(u8),
    Field(u8),
}

fn names(names: &[&str], short: bool) -> String {
    let mut names: Vec<_> = names.iter().map(|name| if short { &name[..3] } else { name }.to_lowercase()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.join("|")
}

fn pattern_of(letter: char) -> Option<String> {
    let text = match letter {
        'd' => r"3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9]",
        'f' => "[0-9]{1,6}",
        'H' => r"2[0-3]|[0-1]\d|\d",
        'I' | 'm' => "1[0-2]|0[1-9]|[1-9]",
        'G' | 'Y' => r"\d\d\d\d",
        'j' => r"36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]",
        'M' => r"[0-5]\d|\d",
        'S' => r"6[0-1]|[0-5]\d|\d",
        'U' | 'W' => r"5[0-3]|[0-4]\d|\d",
        'w' => "[0-6]",
        'u' => "[1-7]",
        'V' => r"5[0-3]|0[1-9]|[1-4]\d|\d",
        'y' => r"\d\d",
        'z' => r"[+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?|(?-i:Z)",
        'A' => return Some(names(&DAYS, false)),
        'a' => return Some(names(&DAYS, true)),
        'B' => return Some(names(&MONTHS, false)),
        'b' => return Some(names(&MONTHS, true)),
        'p' => "am|pm",
        'Z' => "utc|gmt",
        _ => return None,
    };
    Some(text.to_owned())
}

impl Reader {
    /// # Errors
    /// The directive that cannot be read.
    pub fn compile(format: &str) -> Result<Self, String> {
        let spelt = format.replace("%c", "%a %b %d %H:%M:%S %Y").replace("%x", "%m/%d/%y").replace("%X", "%H:%M:%S");
        let (mut pattern, mut quick) = (String::new(), Some(Vec::new()));
        let mut chars = spelt.chars().peekable();
        while let Some(c) = chars.next() {
            let part = if c == '%' {
                let letter = chars.next().ok_or_else(|| "%".to_owned())?;
                if letter == '%' {
                    pattern.push('%');
                    Some(Part::Literal(b'%'))
                } else {
                    let own = pattern_of(letter).ok_or_else(|| format!("%{letter}"))?;
                    pattern.push_str(&format!("(?P<{letter}>{own})"));
                    "YmdHMSfz".contains(letter).then_some(Part::Field(letter as u8))
                }
            } else if c.is_whitespace() {
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                pattern.push_str(r"\s+");
                (c == ' ').then_some(Part::Literal(b' '))
            } else {
                pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                u8::try_from(c).ok().filter(u8::is_ascii).map(Part::Literal)
            };
            match (part, &mut quick) {
                (Some(part), Some(parts)) => parts.push(part),
                _ => quick = None,
            }
        }
        let pattern = RegexBuilder::new(&format!("^(?:{pattern})")).case_insensitive(true).build();
        // A directive that stands twice is refused by the reference as well.
        let pattern = pattern.map_err(|_| format!("{format} (a directive stands twice)"))?;
        Ok(Self { pattern, quick: quick.map(Vec::into_boxed_slice) })
    }

    /// What the clock on the wall shows, and the seconds east of UTC where the text tells them.
    pub fn read(&self, text: &str) -> Option<(NaiveDateTime, Option<i32>)> {
        if let Some(found) = self.quick.as_deref().and_then(|parts| quick(parts, text.as_bytes())) {
            return Some(found);
        }
        let found = self.pattern.captures(text)?;
        if found.get(0)?.end() != text.len() {
            return None;
        }
        assemble(&found)
    }
}

/// Reads fields of full width; none where the text has another form.
fn quick(parts: &[Part], text: &[u8]) -> Option<(NaiveDateTime, Option<i32>)> {
    let (mut at, mut offset) = (0, None);
    let mut fields = [1900_u32, 1, 1, 0, 0, 0];
    let mut micros = 0;
    let number = |from: usize, length: usize| {
        text.get(from..from + length)?
            .iter()
            .try_fold(0_u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    for part in parts {
        match part {
            Part::Literal(byte) => {
                if text.get(at) != Some(byte) {
                    return None;
                }
                at += 1;
            }
            Part::Field(b'f') => {
                let length = text.get(at..)?.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
                let digits = u32::try_from(length).ok().filter(|length| *length > 0)?;
                micros = number(at, length)? * 10_u32.pow(6 - digits);
                at += length;
            }
            Part::Field(b'z') => {
                let zone = std::str::from_utf8(text.get(at..)?).ok()?;
                let length =
                    if zone.starts_with('Z') { 1 } else { if zone.as_bytes().get(3) == Some(&b':') { 6 } else { 5 } };
                // Longer offsets take the other way.
                if zone.len() != length {
                    return None;
                }
                offset = Some(zone_offset(zone)?);
                at += length;
            }
            Part::Field(field) => {
                let (slot, length) = match field {
                    b'Y' => (0, 4),
                    b'm' => (1, 2),
                    b'd' => (2, 2),
                    b'H' => (3, 2),
                    b'M' => (4, 2),
                    _ => (5, 2),
                };
                fields[slot] = number(at, length)?;
                at += length;
            }
        }
    }
    let [year, month, day, hour, minute, second] = fields;
    let year = i32::try_from(year).ok().filter(|year| *year > 0 && at == text.len())?;
    let wall = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_micro_opt(hour, minute, second, micros)?;
    (second < 60).then_some((wall, offset))
}

/// Seconds east of UTC, of `Z`, `+0200`, `+02:00` or with seconds behind.
fn zone_offset(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let rest = &zone[1..];
    let colon = rest.get(2..3)? == ":";
    let parts = if colon {
        rest.split(':').map(str::to_owned).collect()
    } else {
        let tail = rest.get(4..)?;
        // With a colon before the seconds there must be one before the minutes.
        if tail.starts_with(':') {
            return None;
        }
        vec![rest.get(..2)?.to_owned(), rest.get(2..4)?.to_owned(), tail.to_owned()]
    };
    // A colon before the minutes asks for one before the seconds.
    if parts.get(1).is_some_and(|minutes| minutes.len() > 2) {
        return None;
    }
    let number =
        |at: usize| parts.get(at).filter(|part| !part.is_empty()).map_or(Some(0), |part| part.get(..2)?.parse().ok());
    let seconds: i32 = number(0)? * 3600 + number(1)? * 60 + number(2)?;
    (seconds < 86_400).then_some(sign * seconds)
}

fn assemble(found: &Captures<'_>) -> Option<(NaiveDateTime, Option<i32>)> {
    let text = |name: &str| found.name(name).map(|part| part.as_str());
    let number = |name: &str| text(name).and_then(|part| part.trim().parse::<u32>().ok());
    let position = |name: &str, names: &[&str], short: bool| {
        let part = text(name)?;
        names.iter().position(|name| if short { &name[..3] } else { name }.eq_ignore_ascii_case(part))
    };
    let month = |name: &str, short: bool| position(name, &MONTHS, short).and_then(|at| u32::try_from(at + 1).ok());
    let year = number("Y").or_else(|| number("y").map(|year| if year <= 68 { year + 2000 } else { year + 1900 }));
    let year_or_usual = i32::try_from(year.unwrap_or(1900)).ok()?;
    let month = number("m").or_else(|| month("B", false)).or_else(|| month("b", true)).unwrap_or(1);
    let weekday =
        position("A", &DAYS, false).or_else(|| position("a", &DAYS, true)).and_then(|at| u32::try_from(at).ok());
    let weekday = weekday.or_else(|| number("w").map(|day| (day + 6) % 7)).or_else(|| number("u").map(|day| day - 1));
    let date = match (number("j"), number("G"), number("V")) {
        (Some(day), None, None) => {
            NaiveDate::from_ymd_opt(year_or_usual, 1, 1)?.checked_add_days(Days::new(u64::from(day) - 1))
        }
        (None, Some(iso), Some(week)) => {
            let iso = i32::try_from(iso).ok()?;
            let first = NaiveDate::from_isoywd_opt(iso, 1, chrono::Weekday::Mon)?;
            if week == 0 || (week == 53 && first.checked_add_days(Days::new(52 * 7))?.iso_week().year() != iso) {
                return None;
            }
            first.checked_add_days(Days::new(u64::from((week - 1) * 7 + weekday?)))
        }
        (_, Some(_), _) | (_, _, Some(_)) => return None,
        _ => match (weekday, year, number("U"), number("W")) {
            (Some(weekday), Some(_), Some(week), _) => of_week(year_or_usual, week, (weekday + 1) % 7, 6),
            (Some(weekday), Some(_), None, Some(week)) => of_week(year_or_usual, week, weekday, 0),
            _ => NaiveDate::from_ymd_opt(year_or_usual, month, number("d").unwrap_or(1)),
        },
    }?;
    let afternoon = text("p").is_some_and(|half| half.eq_ignore_ascii_case("pm"));
    let hour = match number("I") {
        Some(hour) => hour % 12 + if afternoon { 12 } else { 0 },
        None => number("H").unwrap_or(0),
    };
    let micros = text("f").map_or(Some(0), |digits| format!("{digits:0<6}").parse().ok())?;
    let second = number("S").unwrap_or(0);
    let offset = text("z").map(|zone| zone_offset(zone).ok_or(())).transpose().ok()?;
    let wall = date.and_hms_micro_opt(hour, number("M").unwrap_or(0), second, micros)?;
    (second < 60 && (1..=9999).contains(&date.year())).then_some((wall, offset))
}

/// The day of a week that is counted from the year's first Sunday (6) or Monday (0).
fn of_week(year: i32, week: u32, day: u32, first: u32) -> Option<NaiveDate> {
    let new_year = NaiveDate::from_ymd_opt(year, 1, 1)?;
    let starts = (new_year.weekday().num_days_from_monday() + 7 - first) % 7;
    // Days of week 0 stand before the first whole week.
    let days = i64::from(day) - i64::from(starts) + if starts == 0 { 0 } else { 7 } + (i64::from(week) - 1) * 7;
    let date = new_year.checked_add_signed(chrono::TimeDelta::days(days))?;
    Some(date)
}
