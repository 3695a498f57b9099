//! Amounts and currencies: ISO 4217 codes, their minor units, and decimals that fit a column.
//!
//! Owns the closed list of currencies: a code that is not on it fails the record, it is never a default. Refuses to
//! round: an amount that does not fit `DECIMAL(18, 4)` exactly is a failure.

use rust_decimal::Decimal;
use serde_json::{Number, Value};

use super::{coerce::Fault, path::Path};

/// Digits after the point of every decimal column.
const SCALE: u32 = 4;
/// Ten to the number of digits before the point of every decimal column.
const TOO_LARGE: i64 = 100_000_000_000_000;

/// The codes of ISO 4217 in use, sorted, without funds, metals and test codes.
const CURRENCIES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF",
    "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC",
    "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS",
    "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD",
    "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
    "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD",
    "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD",
    "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP",
    "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED",
    "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];
const WITHOUT_MINOR_UNIT: &[&str] =
    &["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"];
const WITH_THREE_DIGITS: &[&str] = &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// How an amount and its currency are read.
#[derive(Debug)]
pub(super) struct MoneyRule {
    pub(super) currency: CurrencyRule,
    pub(super) unit: Unit,
    /// Column that takes the currency.
    pub(super) currency_to: Option<usize>,
}

#[derive(Debug)]
pub(super) enum CurrencyRule {
    Constant(&'static str),
    From(Path),
}

/// What a provider counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// `12.50` is twelve and a half.
    Major,
    /// `1250` is twelve and a half, where the currency has hundredths.
    Minor,
}

/// The code as it stands on the list, for text in any case.
pub(super) fn currency(code: &str) -> Option<&'static str> {
    let mut upper = [0_u8; 3];
    let bytes = code.trim().as_bytes();
    if bytes.len() != upper.len() {
        return None;
    }
    upper.copy_from_slice(bytes);
    upper.make_ascii_uppercase();
    CURRENCIES.binary_search_by(|known| known.as_bytes().cmp(&upper)).ok().map(|index| CURRENCIES[index])
}

fn minor_digits(currency: &str) -> u32 {
    if WITHOUT_MINOR_UNIT.contains(&currency) {
        0
    } else if WITH_THREE_DIGITS.contains(&currency) {
        3
    } else {
        2
    }
}

/// Reads an amount in the currency's own unit.
pub(super) fn amount(value: &Value, unit: Unit, currency: &str) -> Result<Decimal, Fault> {
    let number = decimal(value)?;
    match unit {
        Unit::Major => Ok(number),
        Unit::Minor if !number.is_integer() => {
            Err(Fault::new("not_minor_units", "a whole number of the currency's smallest unit is expected"))
        }
        Unit::Minor => fitting(number / Decimal::from(10_u32.pow(minor_digits(currency)))),
    }
}

/// Reads a decimal from a number or its text, exactly.
pub(super) fn decimal(value: &Value) -> Result<Decimal, Fault> {
    const EXPECTED: &str = "a decimal number such as 1234.50 is expected, without separators or a sign of currency";
    let number = match value {
        Value::Number(number) => from_number(number),
        Value::String(text) => Decimal::from_str_exact(text.trim()).ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.ok_or(Fault::new("not_a_number", EXPECTED)).and_then(fitting)
}

fn from_number(number: &Number) -> Option<Decimal> {
    if let Some(whole) = number.as_i64() {
        return Some(Decimal::from(whole));
    }
    let text = number.to_string();
    Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
}

fn fitting(number: Decimal) -> Result<Decimal, Fault> {
    if number.abs() >= Decimal::from(TOO_LARGE) {
        return Err(Fault::new("number_too_large", "a number with at most 14 digits before the point is expected"));
    }
    let number = number.normalize();
    if number.scale() > SCALE {
        return Err(Fault::new("number_too_precise", "a number with at most 4 digits after the point is expected"));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_of_currencies_is_sorted_and_closed() {
        assert!(CURRENCIES.is_sorted());
        assert_eq!(currency("usd"), Some("USD"));
        for unknown in ["US", "USDT", "XXX", "XTS", "", "ÄÄ", "???"] {
            assert_eq!(currency(unknown), None, "{unknown}");
        }
        for code in WITHOUT_MINOR_UNIT.iter().chain(WITH_THREE_DIGITS) {
            assert_eq!(currency(code), Some(*code));
        }
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        for (value, expected) in [
            (json!("1234.50"), Ok("1234.5")),
            (json!(1234.5), Ok("1234.5")),
            (json!(-7), Ok("-7")),
            (json!(" 0.0001 "), Ok("0.0001")),
            (json!("99999999999999.9999"), Ok("99999999999999.9999")),
            (json!(1e3), Ok("1000")),
            (json!("100000000000000"), Err("number_too_large")),
            (json!(1e300), Err("not_a_number")),
            (json!(18_446_744_073_709_551_615_u64), Err("number_too_large")),
            (json!("0.00001"), Err("number_too_precise")),
            (json!("1,234.50"), Err("not_a_number")),
            (json!("$5"), Err("not_a_number")),
            (json!(true), Err("not_a_number")),
            (json!([1]), Err("not_a_number")),
        ] {
            let got = decimal(&value).map(|number| number.to_string()).map_err(|fault| fault.code);
            assert_eq!(got.as_deref().map_err(|code| *code), expected, "{value}");
        }
        for (value, code, expected) in
            [(json!(1250), "USD", "12.5"), (json!("1250"), "JPY", "1250"), (json!(1250), "KWD", "1.25")]
        {
            assert_eq!(amount(&value, Unit::Minor, code).unwrap().to_string(), expected);
        }
        assert_eq!(amount(&json!(12.5), Unit::Minor, "USD").unwrap_err().code, "not_minor_units");
    }
}
