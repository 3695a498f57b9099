//! From groups of rows to one exact number, or to the reason why there is none.
//!
//! Owns the arithmetic: decimals only, so that both engines give the same. Sums and counts are exact; averages, medians, minutes
//! and shares are rounded to hundredths, halves away from zero. Refuses to add up two currencies.

use std::collections::BTreeSet;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::{domain::metric::CurrencyRule, store::metrics::Group};

/// Digits after the point of a number that is a division's.
const ROUNDED: u32 = 2;
/// What `DECIMAL(18,4)` can hold, both ways.
const LARGEST: i64 = 99_999_999_999_999;

/// A number made from rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    pub value: Decimal,
    pub currency: Option<String>,
    pub rows: i64,
}

/// Why there is no number, for operators.
pub type NoNumber = String;

/// How many rows all groups have.
pub fn count(groups: &[Group]) -> i64 {
    groups.iter().map(|group| group.rows).sum()
}

/// The number of rows.
///
/// # Errors
/// As all here: a number that the tables cannot hold.
pub fn rows(groups: &[Group]) -> Result<Number, NoNumber> {
    number(Decimal::from(count(groups)), None, count(groups))
}

/// The exact sum.
///
/// # Errors
/// Two currencies, or none; see [`currency`].
pub fn sum(groups: &[Group], currency: Option<String>) -> Result<Number, NoNumber> {
    number(total(groups)?, currency, count(groups))
}

/// The average, rounded.
///
/// # Errors
/// As [`sum`]; and when there is no row: an average of nothing is no zero.
pub fn average(groups: &[Group], currency: Option<String>) -> Result<Number, NoNumber> {
    let rows = some(count(groups))?;
    number(divide(total(groups)?, rows)?, currency, rows)
}

/// The number in the middle; of an even count the average of the two.
///
/// # Errors
/// As [`average`].
pub fn median(groups: &[Group], currency: Option<String>) -> Result<Number, NoNumber> {
    let rows = some(count(groups))?;
    let mut sorted: Vec<(Decimal, i64)> = groups.iter().filter_map(|g| g.number.map(|n| (n, g.rows))).collect();
    sorted.sort_unstable();
    let nth = |wanted: i64| {
        let mut passed = 0;
        sorted.iter().find(|(_, rows)| {
            passed += rows;
            passed > wanted
        })
    };
    let (Some((low, _)), Some((high, _))) = (nth((rows - 1) / 2), nth(rows / 2)) else { return Err(too_large()) };
    number(divide(low.checked_add(*high).ok_or_else(too_large)?, 2)?, currency, rows)
}

/// The average of the minutes between two times, rounded. Who was answered before asking waited for nothing.
///
/// # Errors
/// As [`average`].
pub fn minutes(groups: &[Group]) -> Result<Number, NoNumber> {
    const MICROS: i64 = 60_000_000;
    let rows = some(count(groups))?;
    let micros = groups.iter().try_fold(Decimal::ZERO, |sum, group| {
        let waited = group.times.map_or(0, |(from, to)| to.micros().saturating_sub(from.micros()).max(0));
        Decimal::from(waited).checked_mul(Decimal::from(group.rows)).and_then(|waited| sum.checked_add(waited))
    });
    let per_row = micros.and_then(|micros| micros.checked_div(Decimal::from(rows))).ok_or_else(too_large)?;
    number(divide(per_row, MICROS)?, None, rows)
}

/// The percentage of `part` in `whole`, rounded.
///
/// # Errors
/// When the whole has no row.
pub fn share(part: &[Group], whole: &[Group]) -> Result<Number, NoNumber> {
    let rows = some(count(whole))?;
    let hundredfold = Decimal::from(count(part)).checked_mul(Decimal::ONE_HUNDRED).ok_or_else(too_large)?;
    number(divide(hundredfold, rows)?, None, rows)
}

/// The one currency of the rows, under the metric's rule. `known`: the currencies of the source's other rows, asked when the
/// window has none.
///
/// # Errors
/// Two currencies, none, or another one than declared: nothing is ever converted or guessed.
pub fn currency(rule: &CurrencyRule, groups: &[Group], known: &[Group]) -> Result<String, NoNumber> {
    let nameless: i64 = groups.iter().filter(|group| group.currency.is_none()).map(|group| group.rows).sum();
    if nameless > 0 {
        return Err(format!(
            "{nameless} rows have an amount without a currency; give the field map a currency and replay"
        ));
    }
    let named = |groups: &[Group]| groups.iter().filter_map(|group| group.currency.clone()).collect::<BTreeSet<_>>();
    let here = named(groups);
    match rule {
        CurrencyRule::Fixed(code) => match here.iter().find(|other| *other != code) {
            None => Ok(code.clone()),
            Some(other) => Err(format!("rows are in {other}, the metric is in {code}; amounts are never converted")),
        },
        CurrencyRule::OfRows => {
            let all = if here.is_empty() { named(known) } else { here };
            let mut codes = all.into_iter();
            match (codes.next(), codes.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err("no row has named a currency yet, so a zero would be one of nothing".to_owned()),
                (Some(one), Some(other)) => {
                    Err(format!("the rows are in {one} and {other}; declare one currency, or split the source"))
                }
            }
        }
    }
}

fn total(groups: &[Group]) -> Result<Decimal, NoNumber> {
    groups
        .iter()
        .try_fold(Decimal::ZERO, |sum, group| {
            let part = group.number.unwrap_or_default().checked_mul(Decimal::from(group.rows))?;
            sum.checked_add(part)
        })
        .ok_or_else(too_large)
}

fn divide(number: Decimal, by: i64) -> Result<Decimal, NoNumber> {
    let exact = number.checked_div(Decimal::from(by)).ok_or_else(too_large)?;
    Ok(exact.round_dp_with_strategy(ROUNDED, RoundingStrategy::MidpointAwayFromZero))
}

fn some(rows: i64) -> Result<i64, NoNumber> {
    if rows > 0 { Ok(rows) } else { Err("no row to measure in the period, which is no zero".to_owned()) }
}

fn number(value: Decimal, currency: Option<String>, rows: i64) -> Result<Number, NoNumber> {
    if value.abs() > Decimal::from(LARGEST) { Err(too_large()) } else { Ok(Number { value, currency, rows }) }
}

fn too_large() -> NoNumber {
    "the number is larger than the tables can hold".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn money(rows: &[(&str, &str, i64)]) -> Vec<Group> {
        rows.iter()
            .map(|(number, currency, rows)| Group {
                number: Some(dec(number)),
                currency: (!currency.is_empty()).then(|| (*currency).to_owned()),
                rows: *rows,
                times: None,
            })
            .collect()
    }

    #[test]
    fn p21_sums_are_exact_where_floats_are_not() {
        let groups = money(&[("0.1", "USD", 3), ("0.2", "USD", 1), ("-0.0001", "USD", 1), ("99999999.9999", "USD", 2)]);
        assert_eq!(sum(&groups, None).unwrap().value, dec("200000000.4997"));
        assert_eq!(sum(&groups, None).unwrap().rows, 7);
        assert!(sum(&money(&[("99999999999999.9999", "USD", 2)]), None).is_err());
        assert!(sum(&money(&[("99999999999999.9999", "USD", i64::MAX)]), None).is_err());
    }

    #[test]
    fn averages_and_medians_are_rounded_away_from_zero() {
        let groups = money(&[("1", "USD", 1), ("2", "USD", 1), ("2.005", "USD", 2)]);
        assert_eq!(average(&groups, None).unwrap().value, dec("1.75"));
        assert_eq!(median(&groups, None).unwrap().value, dec("2.00"));
        assert_eq!(median(&money(&[("5", "", 1), ("1", "", 3), ("9", "", 1)]), None).unwrap().value, dec("1"));
        assert_eq!(average(&money(&[("-2.005", "", 1)]), None).unwrap().value, dec("-2.01"));
        for nothing in [average(&[], None), median(&[], None), minutes(&[]), share(&[], &[])] {
            assert!(nothing.unwrap_err().contains("no zero"));
        }
    }

    #[test]
    fn minutes_count_an_answer_before_the_question_as_no_wait() {
        let span = |from: &str, to: &str, rows| Group {
            times: Some((from.parse().unwrap(), to.parse().unwrap())),
            rows,
            ..Group::default()
        };
        let groups = [
            span("2026-01-01T08:00:00Z", "2026-01-01T08:10:00Z", 2),
            span("2026-01-01T08:00:00Z", "2026-01-01T07:00:00Z", 1),
        ];
        assert_eq!(minutes(&groups).unwrap().value, dec("6.67"));
    }

    #[test]
    fn currencies_are_never_mixed_nor_guessed() {
        let usd = CurrencyRule::Fixed("USD".to_owned());
        let mixed = money(&[("1", "USD", 1), ("1", "EUR", 1)]);
        assert!(currency(&CurrencyRule::OfRows, &mixed, &[]).unwrap_err().contains("EUR and USD"));
        assert!(currency(&usd, &mixed, &[]).unwrap_err().contains("rows are in EUR"));
        assert!(currency(&usd, &money(&[("1", "", 2)]), &[]).unwrap_err().contains("2 rows"));
        assert_eq!(currency(&usd, &[], &[]).unwrap(), "USD");
        assert_eq!(currency(&CurrencyRule::OfRows, &[], &money(&[("3", "EUR", 1)])).unwrap(), "EUR");
        assert!(currency(&CurrencyRule::OfRows, &[], &[]).is_err());
    }
}
