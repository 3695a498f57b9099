//! Which records of a poll a delivery should have brought.
//!
//! Owns what makes one a candidate: new, or changed in what we keep of it, and changed at the provider long enough ago, since the
//! deliveries began. A pure function; whether a delivery did announce it is asked by the page's transaction.

use crate::{domain::clock::Timestamp, store::page::RecordWrite};

/// The changes of a poll that a delivery should have announced by now, by the provider's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairWindow {
    /// When the endpoint let its first delivery in: what is older was never to be delivered.
    pub from: Timestamp,
    /// The poll's beginning less the grace: what is newer may still be on its way.
    pub until: Timestamp,
}

impl RepairWindow {
    /// Places of the candidates in the list. A record that is rewritten with the same mapped row is none, and neither is one that
    /// tells no time of its own.
    pub fn candidates(&self, records: &[RecordWrite]) -> Vec<usize> {
        let changed = |record: &RecordWrite| {
            record.existing.as_ref().is_none_or(|existing| existing.record_hash != record.record_hash)
        };
        let due =
            |record: &RecordWrite| record.source_updated_at.is_some_and(|at| (self.from..=self.until).contains(&at));
        let is_one = |(_, record): &(usize, &RecordWrite)| due(record) && changed(record);
        records.iter().enumerate().filter(is_one).map(|(at, _)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            business::CRM_LEADS,
            ids::{InternalId, RunId},
            record::MappedRow,
        },
        store::page::Known,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn record(existing: Option<&str>, updated: Option<&str>) -> RecordWrite {
        RecordWrite {
            raw: 0,
            external_id: "1".to_owned(),
            row: MappedRow { table: &CRM_LEADS, cells: Vec::new() },
            payload_hash: "p".to_owned(),
            record_hash: "new".to_owned(),
            source_updated_at: updated.map(at),
            existing: existing.map(|hash| Known {
                link_id: 1,
                internal_table: "crm_leads".to_owned(),
                internal_id: InternalId(1),
                payload_hash: "q".to_owned(),
                record_hash: hash.to_owned(),
                source_updated_at: None,
                last_run_id: RunId(1),
                is_test: false,
                raw: None,
            }),
        }
    }

    #[test]
    fn only_what_changed_since_deliveries_began_and_long_enough_ago_can_be_a_repair() {
        let window = RepairWindow { from: at("2026-03-01T10:00:00Z"), until: at("2026-03-01T12:00:00Z") };
        let inside = Some("2026-03-01T11:00:00Z");
        let records = [
            record(None, inside),
            record(Some("old"), inside),
            // The same mapped row, no time, before deliveries began, still within the grace.
            record(Some("new"), inside),
            record(None, None),
            record(None, Some("2026-03-01T09:59:59Z")),
            record(None, Some("2026-03-01T12:00:01Z")),
        ];
        assert_eq!(window.candidates(&records), [0, 1]);
    }
}
