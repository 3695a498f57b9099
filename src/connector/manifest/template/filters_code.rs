//! The format's own filters: digests, base64, JSON texts and regular expressions.

use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Digest as _;

use super::{
    evaluate::Run,
    fault::{Fault, FaultKind},
    passed::{Passed, needs_text},
    patterns, print,
    value::Val,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn hash<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [kind, salt] = passed.fit(["hash_type", "salt"], 0)?;
    let kind = kind.map(|kind| needs_text(Some(kind))).transpose()?;
    let mut text = print::text(&value)?;
    if let Some(salt) = salt.filter(|salt| salt.truth().unwrap_or(false)) {
        print::print(&salt, &mut text)?;
    }
    let bytes = text.as_bytes();
    let digest = match kind.as_deref().unwrap_or("md5") {
        "md5" => hex(&md5::Md5::digest(bytes)),
        "sha1" => hex(&sha1::Sha1::digest(bytes)),
        "sha224" => hex(&sha2::Sha224::digest(bytes)),
        "sha256" => hex(&sha2::Sha256::digest(bytes)),
        "sha384" => hex(&sha2::Sha384::digest(bytes)),
        "sha512" => hex(&sha2::Sha512::digest(bytes)),
        "sha3_224" | "sha3_256" | "sha3_384" | "sha3_512" | "blake2b" | "blake2s" | "shake_128" | "shake_256" => {
            return Err(Fault::unsupported("that kind of digest is not supported"));
        }
        _ => return Err(Fault::new(FaultKind::Attribute, "there is no such kind of digest")),
    };
    Ok(Val::text(digest))
}

pub(super) fn hmac<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [key, kind] = passed.fit(["key", "hash_type"], 1)?;
    if kind.is_some_and(|kind| kind.as_text() != Some("sha256")) {
        return Err(Fault::value("the digest of a signature is not sha256"));
    }
    let key = print::text(&key.unwrap_or(Val::None))?;
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).map_err(|_| Fault::value("the key is not one"))?;
    mac.update(print::text(&value)?.as_bytes());
    Ok(Val::text(hex(&mac.finalize().into_bytes())))
}

/// A value whose `.encode` is called.
fn encoded<'v>(value: &'v Val<'_>, passed: Passed<'_>) -> Result<&'v str, Fault> {
    passed.nothing()?;
    value.used()?;
    value.as_text().ok_or_else(|| Fault::new(FaultKind::Attribute, "the value is not a text"))
}

pub(super) fn base64encode<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    Ok(Val::text(STANDARD.encode(encoded(&value, passed)?)))
}

/// Drops what is not of the alphabet, as the reference does; the padding must be there.
pub(super) fn base64decode<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true);
    let text = encoded(&value, passed)?;
    let mut digits: Vec<u8> = Vec::with_capacity(text.len());
    let mut padding = 0;
    for byte in text.bytes() {
        match byte {
            // Once the padding is whole, the rest counts no more.
            b'=' if digits.len() % 4 >= 2 => {
                padding += 1;
                if digits.len() % 4 + padding == 4 {
                    break;
                }
            }
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => {
                padding = 0;
                digits.push(byte);
            }
            _ => {}
        }
    }
    digits.extend(std::iter::repeat_n(b'=', padding));
    let bytes = GeneralPurpose::new(&ALPHABET, config).decode(&digits).map_err(|_| Fault::value("not base64"))?;
    String::from_utf8(bytes).map(Val::text).map_err(|_| Fault::value("what base64 holds is not text"))
}

/// Despite its name it encodes, as in the reference.
pub(super) fn base64binascii_decode<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let text = encoded(&value, passed)?;
    if text.is_ascii() { Ok(Val::text(STANDARD.encode(text))) } else { Err(Fault::value("the text is not ASCII")) }
}

/// A text stays; all else becomes its JSON in triple quotes, so that it is read back as a text.
pub(super) fn string<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    passed.nothing()?;
    if matches!(value, Val::Text(_)) {
        return Ok(value);
    }
    Ok(Val::text(format!("\"\"\"{}\"\"\"", print::json_text(&value, false, None)?)))
}

fn searched<'v>(value: &'v Val<'_>) -> Result<&'v str, Fault> {
    value.used()?;
    value.as_text().ok_or_else(|| Fault::wrong_type("only a text can be searched"))
}

pub(super) fn regex_search<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [pattern] = passed.fit(["regex"], 1)?;
    let pattern = needs_text(pattern)?;
    let text = searched(&value)?;
    if patterns::first_group_is_none(text, &pattern)? {
        return Ok(Val::None);
    }
    patterns::search(text, &pattern).map(Val::text)
}

pub(super) fn regex_replace<'a>(_: &mut Run<'a>, value: Val<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [pattern, with] = passed.fit(["regex", "replacement"], 2)?;
    let (pattern, with) = (needs_text(pattern)?, needs_text(with)?);
    patterns::replace(searched(&value)?, &pattern, &with).map(Val::text)
}
