//! Versions of field maps: which of two is higher, and which one is in force.
//!
//! Owns the rule, as pure functions over names. Refuses to know documents and rows.

use std::cmp::Ordering;

/// Which version is higher. Numbers compare as numbers wherever they stand, so that `10` comes after `9` and `2026-11-01` after
/// `2026-9-30`; everything else as text. Only equal texts are equal.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left, right);
    while !a.is_empty() && !b.is_empty() {
        let ((one, rest_of_a), (other, rest_of_b)) = (piece(a), piece(b));
        let order = match (number(one), number(other)) {
            (Some(one), Some(other)) => one.len().cmp(&other.len()).then_with(|| one.cmp(other)),
            _ => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_of_a, rest_of_b);
    }
    a.len().cmp(&b.len()).then_with(|| left.cmp(right))
}

/// The version in force of those in the folder: the one that stands (was activated last), or the highest where that one is not
/// among them or none was ever activated. The highest is to be activated by that.
pub fn in_force<'v>(folder: impl IntoIterator<Item = &'v str>, stands: Option<&str>) -> Option<&'v str> {
    let mut highest: Option<&'v str> = None;
    for version in folder {
        if stands == Some(version) {
            return Some(version);
        }
        if highest.is_none_or(|other| compare(version, other).is_gt()) {
            highest = Some(version);
        }
    }
    highest
}

/// The first run of digits, or of everything else.
fn piece(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// The digits that count, of a piece that is a number.
fn number(piece: &str) -> Option<&str> {
    piece.starts_with(|c: char| c.is_ascii_digit()).then(|| piece.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_where_they_are_numbers() {
        for (lower, higher) in [
            ("9", "10"),
            ("1", "2"),
            ("1.9", "1.10"),
            ("v9", "v10"),
            ("2026-9-30", "2026-11-01"),
            ("1", "1.1"),
            ("1", "1-beta"),
            ("a", "b"),
            ("99999999999999999999998", "99999999999999999999999"),
            ("01", "1"),
        ] {
            assert_eq!(compare(lower, higher), Ordering::Less, "{lower} {higher}");
            assert_eq!(compare(higher, lower), Ordering::Greater, "{lower} {higher}");
        }
        assert_eq!(compare("1.2", "1.2"), Ordering::Equal);
    }

    #[test]
    fn the_activated_one_is_in_force_as_long_as_it_is_there_and_else_the_highest() {
        assert_eq!(in_force(["9", "10"], Some("9")), Some("9"), "the new one waits");
        assert_eq!(in_force(["9", "10"], None), Some("10"), "nothing was ever activated");
        assert_eq!(in_force(["10", "9"], Some("8")), Some("10"), "the one that stood is gone");
        assert_eq!(in_force([], Some("8")), None);
    }
}
