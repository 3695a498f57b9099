//! How times, ages, sizes and foreign text are written.
//!
//! Owns the one form of each. Foreign text loses its control characters: a provider must not drive an operator's terminal.

use std::time::Duration;

use crate::domain::clock::Timestamp;

/// What stands for nothing.
pub const NONE: &str = "-";

/// `2026-11-22 06:30:12Z`
pub fn time(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `2026-11-22 06:30:12Z (3m ago)`
pub fn time_and_age(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", time(at), age(at, now))
}

/// As [`time_and_age`], with a dash for never.
pub fn maybe_time(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| NONE.to_owned(), |at| time_and_age(at, now))
}

/// `3m ago`, `in 2h`, `now`
pub fn age(at: Timestamp, now: Timestamp) -> String {
    let (passed, left) = (now.since(at), at.since(now));
    if passed >= Duration::from_secs(1) {
        format!("{} ago", roughly(passed))
    } else if left >= Duration::from_secs(1) {
        format!("in {}", roughly(left))
    } else {
        "now".to_owned()
    }
}

/// A length of time in its largest fitting unit, cut: `40s`, `3m`, `47h`, `12d`.
pub fn roughly(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        172_800.. => format!("{}d", seconds / 86_400),
    }
}

/// A length of time with its two largest units: `350ms`, `2.1s`, `4m12s`, `3h05m`, `12d`.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{}ms", length.as_millis()),
        1..60 => format!("{seconds}.{}s", length.subsec_millis() / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        172_800.. => format!("{}d", seconds / 86_400),
    }
}

/// As [`span`], of milliseconds; nothing for none.
pub fn millis(length: i64) -> String {
    match u64::try_from(length) {
        Ok(0) | Err(_) => NONE.to_owned(),
        Ok(length) => span(Duration::from_millis(length)),
    }
}

/// `730 B`, `12.3 KiB`, `1.0 MiB`
pub fn bytes(count: i64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let count = u64::try_from(count).unwrap_or(0);
    if count < 1_024 {
        return format!("{count} B");
    }
    let mut tenths = count * 10 / 1_024;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// `1 page`, `12 pages`
pub fn count_of(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Text from elsewhere, in one line and without control characters.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect()
}

/// Marks that turn the direction of text around, or hide.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The text, or a dash.
pub fn or_none(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(|| NONE.to_owned(), plain)
}

/// The first `most` characters, with a mark where something was left out.
pub fn cut(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_show_what_matters() {
        for (millis, text) in [
            (0, "0ms"),
            (350, "350ms"),
            (2_190, "2.1s"),
            (59_999, "59.9s"),
            (252_000, "4m12s"),
            (11_100_000, "3h05m"),
            (172_799_000, "47h59m"),
            (1_036_800_000, "12d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn ages_look_both_ways() {
        let now: Timestamp = "2026-11-22T06:30:12Z".parse().unwrap();
        assert_eq!(time_and_age(now.minus(Duration::from_secs(185)), now), "2026-11-22 06:27:07Z (3m ago)");
        assert_eq!(age(now.plus(Duration::from_secs(90)), now), "in 1m");
        assert_eq!(age(now, now), "now");
    }

    #[test]
    fn sizes_change_their_unit_in_time() {
        for (count, text) in
            [(0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_048_575, "1023.9 KiB"), (1_048_576, "1.0 MiB")]
        {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d"), "a [31mb c d");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
