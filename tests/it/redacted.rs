//! P18 by type: whatever carries what a provider sent cannot show it, whoever writes the line that shows it.

use std::fmt::Debug;

use serde_json::json;
use tidegate::{
    domain::{
        business::CRM_LEADS,
        clock::Timestamp,
        ids::RawEventId,
        record::{BrokenItem, Cell, Item, MappedRow, RawRecord},
        status::RawStatus,
    },
    mapping::Mapped,
    pipeline::stage::{Content, Payload, Ready},
    store::page::{RawEvent, RawWrite},
};

const PERSON: &str = "ada.canary@leak.example";

fn tells_nobody(what: &impl Debug) {
    for told in [format!("{what:?}"), format!("{what:#?}")] {
        assert!(!told.contains("canary"), "{told}");
        assert!(told.contains("characters") || told.contains("fields"), "it says how much there is: {told}");
    }
}

#[test]
fn p18_what_carries_a_persons_data_has_no_debug_form_that_shows_it() {
    let payload = json!({"email": PERSON, PERSON: 1});
    let text = payload.to_string();
    let row = MappedRow { table: &CRM_LEADS, cells: vec![Cell::Text(PERSON.to_owned()), Cell::Json(text.clone())] };
    let ready = Ready { text: text.clone(), mapped: Mapped::Record(row.clone()), record_hash: String::new() };
    tells_nobody(&Item::Record(RawRecord {
        external_id: Some("7".to_owned()),
        payload: payload.clone(),
        source_updated_at: None,
    }));
    tells_nobody(&Item::Broken(BrokenItem {
        place: "line 17".to_owned(),
        text: text.clone(),
        reason: "no object".to_owned(),
    }));
    tells_nobody(&row);
    tells_nobody(&Content::NoId(payload.clone()));
    tells_nobody(&Content::Broken { text: text.clone(), reason: "no object".to_owned() });
    tells_nobody(&Content::Record(Payload::Parsed(payload)));
    tells_nobody(&Payload::Mapped(Box::new(ready)));
    tells_nobody(&RawWrite::New {
        external_id: "7".to_owned(),
        payload: text.clone(),
        payload_hash: String::new(),
        status: RawStatus::Normalized,
        reason: None,
    });
    tells_nobody(&RawEvent {
        id: RawEventId(1),
        external_id: "7".to_owned(),
        payload: text,
        payload_hash: String::new(),
        received_at: Timestamp::from_micros(0).unwrap(),
    });
}
