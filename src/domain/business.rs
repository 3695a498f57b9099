//! The business tables that records are mapped into: names, columns, types.
//!
//! Owns the catalogue that field maps are checked against and that the store writes from. A test holds it
//! against the migrations. The columns that every business table has (id, client, connection, provider,
//! source label, external id, runs, times) are filled by the pipeline and are not listed here.

/// What a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Text,
    Integer,
    /// 18 digits, 4 of them after the point.
    Decimal,
    Bool,
    Time,
    Json,
}

/// A column that a field map may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
    /// Longest text, in characters.
    pub max_chars: usize,
    /// The words that the database's CHECK allows; empty when open.
    pub words: &'static [&'static str],
}

/// A table that records are mapped into.
#[derive(Debug, PartialEq, Eq)]
pub struct BusinessTable {
    pub name: &'static str,
    pub columns: &'static [Column],
}

impl BusinessTable {
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == column)
    }
}

const fn text(name: &'static str, max_chars: usize) -> Column {
    Column { name, kind: ColumnType::Text, max_chars, words: &[] }
}

const fn words(name: &'static str, words: &'static [&'static str]) -> Column {
    Column { name, kind: ColumnType::Text, max_chars: 40, words }
}

const fn time(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Time, max_chars: 0, words: &[] }
}

const fn amount(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Decimal, max_chars: 0, words: &[] }
}

/// People and companies that asked for work.
pub static CRM_LEADS: BusinessTable = BusinessTable {
    name: "crm_leads",
    columns: &[
        text("contact_name", 200),
        text("email", 320),
        text("phone", 32),
        text("service_type", 100),
        text("contact_method", 40),
        words("consent", &["granted", "denied", "unknown"]),
        text("market", 100),
        text("urgency", 40),
        text("owner", 200),
        text("attribution_source", 100),
        words("paid_or_organic", &["paid", "organic", "unknown"]),
        text("stage", 60),
        time("received_at"),
    ],
};

/// What happened to a lead: deals, stage movements. Booked and projected values are never one column.
pub static CRM_LEAD_EVENTS: BusinessTable = BusinessTable {
    name: "crm_lead_events",
    columns: &[
        text("lead_external_id", 190),
        text("event_type", 60),
        text("title", 300),
        text("stage", 60),
        text("pipeline", 100),
        text("owner", 200),
        amount("projected_amount"),
        amount("booked_amount"),
        text("currency", 3),
        time("occurred_at"),
        time("closed_at"),
    ],
};

/// Every business table, in the order in which they are documented.
pub static TABLES: &[&BusinessTable] = &[&CRM_LEADS, &CRM_LEAD_EVENTS];

/// The table of that name.
pub fn table(name: &str) -> Option<&'static BusinessTable> {
    TABLES.iter().copied().find(|t| t.name == name)
}
