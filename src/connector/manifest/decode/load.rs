//! Reading decoders.

use super::{DecoderPlan, csv::CsvPlan, text::Encoding};
use crate::connector::manifest::reader::Component;

const KINDS: [&str; 8] = [
    "JsonDecoder",
    "JsonlDecoder",
    "CsvDecoder",
    "XmlDecoder",
    "GzipDecoder",
    "ZipfileDecoder",
    "IterableDecoder",
    "JsonItemsDecoder",
];
/// What may have been packed.
const PACKED: [&str; 5] = ["JsonDecoder", "JsonlDecoder", "CsvDecoder", "GzipDecoder", "JsonItemsDecoder"];

/// The decoder in that field; JSON where there is none.
pub(in crate::connector::manifest) fn decoder(component: &Component<'_>, key: &'static str) -> Option<DecoderPlan> {
    if component.field(key).is_none() {
        return Some(DecoderPlan::Json);
    }
    component.child(key, &KINDS, true).and_then(|(kind, part)| plan(kind, &part))
}

fn plan(kind: &str, component: &Component<'_>) -> Option<DecoderPlan> {
    let inner = || component.child("decoder", &PACKED, true).and_then(|(kind, part)| plan(kind, &part)).map(Box::new);
    let plan = match kind {
        "JsonDecoder" => Some(DecoderPlan::Json),
        "JsonlDecoder" => Some(DecoderPlan::JsonLines),
        "XmlDecoder" => Some(DecoderPlan::Xml),
        "IterableDecoder" => Some(DecoderPlan::Lines),
        "GzipDecoder" => inner().map(DecoderPlan::Gzip),
        "ZipfileDecoder" => inner().map(DecoderPlan::Zip),
        "JsonItemsDecoder" => {
            let path = component.text("items_path").filter(|path| !path.is_empty()).map(str::to_owned);
            if path.is_none() {
                component.refuse("items_path", "'items_path' is missing", "name the list, such as data.users");
            }
            let encoding = encoding(component);
            path.zip(encoding).map(|(path, encoding)| DecoderPlan::JsonItems { path, encoding })
        }
        _ => csv(component).map(DecoderPlan::Csv),
    };
    component.finish(&[]);
    plan
}

/// Texts that a table reader of the format takes for nothing.
const NOTHING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The rows of a table that a job leaves, packed or not. `words_stay`: only an empty cell is nothing.
pub(in crate::connector::manifest) fn table(words_stay: bool) -> DecoderPlan {
    let words = if words_stay { &NOTHING[..1] } else { &NOTHING[..] };
    let nulls = words.iter().map(|word| (*word).to_owned()).collect();
    DecoderPlan::Gzip(Box::new(DecoderPlan::Csv(CsvPlan { encoding: Encoding::Utf8Sig, delimiter: b',', nulls })))
}

fn csv(component: &Component<'_>) -> Option<CsvPlan> {
    let encoding = encoding(component);
    let delimiter = match component.text("delimiter") {
        None | Some("") => Some(b','),
        Some(r"\t") => Some(b'\t'),
        Some(text) => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | b'"') => Some(*byte),
            _ => {
                let message = format!("'{text}' is not one ASCII character");
                component.refuse("delimiter", &message, "write one character, or \\t");
                None
            }
        },
    };
    let nulls = crate::connector::manifest::transform::texts(component, "set_values_to_none");
    Some(CsvPlan { encoding: encoding?, delimiter: delimiter?, nulls })
}

fn encoding(component: &Component<'_>) -> Option<Encoding> {
    let name = component.text("encoding").filter(|name| !name.is_empty()).unwrap_or("utf-8");
    let encoding = Encoding::named(name);
    if encoding.is_none() {
        component.refuse(
            "encoding",
            &format!("the encoding '{name}' is not known"),
            "utf-8, latin-1, utf-16, cp1252, ...",
        );
    }
    encoding
}
