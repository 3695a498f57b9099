//! `strftime` as the reference's platform has it: Python's three own directives, then the C library's, English names.
//!
//! Owns writing a time inside templates. An unknown directive stays as it stands.

use chrono::{Datelike, NaiveDateTime, Timelike, Weekday};

use super::moment::{Zone, offset_text};

pub(in crate::connector::manifest) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(in crate::connector::manifest) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Writes a time; the zone is empty where there is none.
pub(super) fn strftime(format: &str, wall: NaiveDateTime, zone: Option<Zone>) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    write(format, wall, zone, &mut out);
    out
}

/// Flags and width between `%` and the letter.
#[derive(Default, Clone, Copy)]
struct Style {
    pad: Option<char>,
    upper: bool,
    swap: bool,
    width: usize,
}

fn write(format: &str, wall: NaiveDateTime, zone: Option<Zone>, out: &mut String) {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let directive = &rest[at..];
        let mut style = Style::default();
        let mut chars = directive[1..].char_indices();
        let mut letter = chars.next();
        while let Some((_, c @ ('-' | '_' | '0' | '^' | '#'))) = letter {
            match c {
                '^' => style.upper = true,
                '#' => style.swap = true,
                pad => style.pad = Some(pad),
            }
            letter = chars.next();
        }
        while let Some((_, c)) = letter.filter(|(_, c)| c.is_ascii_digit()) {
            style.width = (style.width * 10 + c as usize - '0' as usize).min(1_000);
            letter = chars.next();
        }
        while let Some((_, 'E' | 'O')) = letter {
            letter = chars.next();
        }
        let Some((index, letter)) = letter else {
            out.push_str(directive);
            return;
        };
        let end = 1 + index + letter.len_utf8();
        if !field(letter, style, wall, zone, out) {
            out.push_str(&directive[..end]);
        }
        rest = &directive[end..];
    }
    out.push_str(rest);
}

fn number(value: i64, width: usize, pad: char, style: Style, out: &mut String) {
    let pad = match style.pad {
        Some('-') => None,
        Some('_') => Some(' '),
        Some('0') => Some('0'),
        _ => Some(pad),
    };
    let text = value.to_string();
    let width = if style.width > 0 { style.width } else { width };
    if let Some(pad) = pad {
        out.extend(std::iter::repeat_n(pad, width.saturating_sub(text.len())));
    }
    out.push_str(&text);
}

fn text(value: &str, style: Style, out: &mut String) {
    let value = if style.upper { value.to_uppercase() } else { value.to_owned() };
    let pad = if style.pad == Some('0') { '0' } else { ' ' };
    out.extend(std::iter::repeat_n(pad, style.width.saturating_sub(value.chars().count())));
    out.push_str(&value);
}

/// Weeks that began before this day, counted from the first `first` of the year.
fn week(wall: NaiveDateTime, first: Weekday) -> i64 {
    let into = i64::from(wall.weekday().days_since(first));
    (i64::from(wall.ordinal0()) + 7 - into) / 7
}

fn field(letter: char, style: Style, wall: NaiveDateTime, zone: Option<Zone>, out: &mut String) -> bool {
    let day = DAYS[wall.weekday().num_days_from_monday() as usize];
    let month = MONTHS[wall.month0() as usize];
    let year = i64::from(wall.year());
    let twelve = i64::from(wall.hour12().1);
    let iso = wall.iso_week();
    let half = if wall.hour() < 12 { "AM" } else { "PM" };
    let styled = if style.swap { Style { upper: true, ..style } } else { style };
    match letter {
        'f' => out.push_str(&format!("{:06}", wall.nanosecond() / 1_000)),
        'z' => out.push_str(&zone.map(|zone| offset_text(zone.offset(), "")).unwrap_or_default()),
        'Z' => match zone {
            Some(Zone::Fixed(offset)) => out.push_str(&format!("UTC{}", offset_text(offset, ":"))),
            Some(_) => out.push_str("UTC"),
            None => {}
        },
        'a' => text(&day[..3], styled, out),
        'A' => text(day, styled, out),
        'b' | 'h' => text(&month[..3], styled, out),
        'B' => text(month, styled, out),
        'c' => write("%a %b %e %H:%M:%S %Y", wall, zone, out),
        'C' => number(year / 100, 2, '0', style, out),
        'd' => number(i64::from(wall.day()), 2, '0', style, out),
        'D' | 'x' => write("%m/%d/%y", wall, zone, out),
        'e' => number(i64::from(wall.day()), 2, ' ', style, out),
        'F' => write("%Y-%m-%d", wall, zone, out),
        'g' => number(i64::from(iso.year().rem_euclid(100)), 2, '0', style, out),
        'G' => number(i64::from(iso.year()), 1, '0', style, out),
        'H' => number(i64::from(wall.hour()), 2, '0', style, out),
        'I' => number(twelve, 2, '0', style, out),
        'j' => number(i64::from(wall.ordinal()), 3, '0', style, out),
        'k' => number(i64::from(wall.hour()), 2, ' ', style, out),
        'l' => number(twelve, 2, ' ', style, out),
        'm' => number(i64::from(wall.month()), 2, '0', style, out),
        'M' => number(i64::from(wall.minute()), 2, '0', style, out),
        'n' => out.push('\n'),
        'p' if style.swap => text(&half.to_lowercase(), style, out),
        'p' => text(half, style, out),
        'P' => text(&half.to_lowercase(), style, out),
        'r' => write("%I:%M:%S %p", wall, zone, out),
        'R' => write("%H:%M", wall, zone, out),
        's' => out.push_str(&wall.and_utc().timestamp().to_string()),
        'S' => number(i64::from(wall.second()), 2, '0', style, out),
        't' => out.push('\t'),
        'T' | 'X' => write("%H:%M:%S", wall, zone, out),
        'u' => number(i64::from(wall.weekday().number_from_monday()), 1, '0', style, out),
        'U' => number(week(wall, Weekday::Sun), 2, '0', style, out),
        'V' => number(i64::from(iso.week()), 2, '0', style, out),
        'w' => number(i64::from(wall.weekday().num_days_from_sunday()), 1, '0', style, out),
        'W' => number(week(wall, Weekday::Mon), 2, '0', style, out),
        'y' => number(year.rem_euclid(100), 2, '0', style, out),
        'Y' => number(year, 1, '0', style, out),
        '%' => out.push('%'),
        _ => return false,
    }
    true
}
