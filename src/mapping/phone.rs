//! Phone numbers to E.164: `+1-212-555-0100` becomes `+12125550100`.
//!
//! Owns the only use of `rlibphonenumber` (Google's numbering plans). A number must have a length that its country
//! uses; whether its range has been handed out is not asked, since the plans in the binary age and a new real number
//! must not become a dead letter. An extension is left off: E.164 has none.

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};

/// A country whose national numbers can be read, e.g. `US`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DefaultRegion(Region);

impl DefaultRegion {
    /// From an ISO 3166 code of two capital letters; `None` when there is no such numbering plan.
    pub(super) fn parse(code: &str) -> Option<Self> {
        let shaped = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let region = Region::try_from(code).ok().filter(|_| shaped)?;
        PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == region).then_some(Self(region))
    }
}

/// The number in E.164; `None` when it is none, lacks its area code, or is a national one and no region is given.
pub(super) fn to_e164(text: &str, region: Option<DefaultRegion>) -> Option<String> {
    let number = PHONE_NUMBER_UTIL.parse(text, region.map(|region| region.0)).ok()?;
    let length = PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number).ok()?;
    // A number without its area code (`555-0100`) names nobody outside of its town.
    (length == NumberLengthType::IsPossible)
        .then(|| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_e164_or_are_refused() {
        let us = DefaultRegion::parse("US");
        let italy = DefaultRegion::parse("IT");
        for (text, region, expected) in [
            ("+1-212-555-0100", None, Some("+12125550100")),
            ("+1 (212) 555-0100", None, Some("+12125550100")),
            ("+49 30 901820", us, Some("+4930901820")),
            ("(212) 555-0100", us, Some("+12125550100")),
            ("1-212-555-0100", us, Some("+12125550100")),
            ("2125550100 x12", us, Some("+12125550100")),
            ("0049 30 901820", DefaultRegion::parse("AT"), Some("+4930901820")),
            ("06 698 82353", italy, Some("+390669882353")),
            // A range that the plans do not know is still a number.
            ("+15550100042", None, Some("+15550100042")),
            ("(212) 555-0100", None, None),
            ("555-0100", us, None),
            ("call me", us, None),
            ("+999 1234567", us, None),
            ("+1 212 555", us, None),
            ("12", us, None),
            ("", us, None),
        ] {
            assert_eq!(to_e164(text, region).as_deref(), expected, "{text} in {region:?}");
        }
        for wrong in ["us", "USA", "XX", "", "+1"] {
            assert_eq!(DefaultRegion::parse(wrong), None, "{wrong}");
        }
        assert!(DefaultRegion::parse("NO").is_some());
    }
}
