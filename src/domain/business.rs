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

/// A column that a field map may fill. Amounts are the decimal columns whose name ends with `amount`; each stands beside the
/// table's `currency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
    /// Longest text, in characters.
    pub max_chars: usize,
    /// The words that the database's CHECK allows; empty when open.
    pub words: &'static [&'static str],
}

impl Column {
    /// Whether it holds money.
    pub fn is_amount(&self) -> bool {
        self.kind == ColumnType::Decimal && self.name.ends_with("amount")
    }
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

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Its columns that hold money.
    pub fn amounts(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|c| c.is_amount())
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

/// A number that is no money.
const fn decimal(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Decimal, max_chars: 0, words: &[] }
}

const fn integer(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Integer, max_chars: 0, words: &[] }
}

const fn flag(name: &'static str) -> Column {
    Column { name, kind: ColumnType::Bool, max_chars: 0, words: &[] }
}

const DIRECTIONS: &[&str] = &["inbound", "outbound", "unknown"];
const PAID_OR_ORGANIC: &[&str] = &["paid", "organic", "unknown"];
const RECONCILIATION: &[&str] = &["unreconciled", "reconciled", "disputed"];

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
        words("paid_or_organic", PAID_OR_ORGANIC),
        text("stage", 60),
        time("received_at"),
        time("first_response_at"),
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

/// Calls, answered or missed.
pub static PHONE_CALLS: BusinessTable = BusinessTable {
    name: "phone_calls",
    columns: &[
        words("direction", DIRECTIONS),
        words("outcome", &["answered", "missed", "voicemail", "abandoned", "unknown"]),
        text("from_phone", 32),
        text("to_phone", 32),
        integer("duration_seconds"),
        text("tracking_source", 100),
        words("paid_or_organic", PAID_OR_ORGANIC),
        text("lead_external_id", 190),
        time("occurred_at"),
        time("answered_at"),
    ],
};

/// Messages that were sent to people or came from them.
pub static MESSAGE_DELIVERIES: BusinessTable = BusinessTable {
    name: "message_deliveries",
    columns: &[
        words("direction", DIRECTIONS),
        words("channel", &["sms", "email", "chat", "other"]),
        words("delivery", &["queued", "sent", "delivered", "failed", "received", "unknown"]),
        text("contact_phone", 32),
        text("contact_email", 320),
        text("template", 190),
        text("failure_reason", 200),
        flag("opted_out"),
        text("lead_external_id", 190),
        amount("price_amount"),
        text("currency", 3),
        time("sent_at"),
        time("delivered_at"),
        time("replied_at"),
    ],
};

/// Work that was booked at a customer: booked, never invoiced or paid.
pub static FIELD_JOBS: BusinessTable = BusinessTable {
    name: "field_jobs",
    columns: &[
        text("job_number", 100),
        text("customer_external_id", 190),
        text("lead_external_id", 190),
        text("service_type", 100),
        words("progress", &["booked", "scheduled", "dispatched", "in_progress", "completed", "canceled", "unknown"]),
        text("business_unit", 100),
        text("attribution_source", 100),
        words("paid_or_organic", PAID_OR_ORGANIC),
        amount("booked_amount"),
        text("currency", 3),
        time("booked_at"),
        time("scheduled_at"),
        time("completed_at"),
        time("canceled_at"),
    ],
};

/// Customers as the books know them.
pub static ACCOUNTING_CUSTOMERS: BusinessTable = BusinessTable {
    name: "accounting_customers",
    columns: &[
        text("display_name", 200),
        text("email", 320),
        text("phone", 32),
        flag("active"),
        text("currency", 3),
        time("created_at"),
    ],
};

/// Invoices: an invoiced amount is no payment.
pub static ACCOUNTING_INVOICES: BusinessTable = BusinessTable {
    name: "accounting_invoices",
    columns: &[
        text("invoice_number", 100),
        text("customer_external_id", 190),
        words("invoice_status", &["draft", "open", "paid", "void", "uncollectible", "unknown"]),
        amount("invoiced_amount"),
        amount("tax_amount"),
        amount("open_amount"),
        text("currency", 3),
        words("reconciliation", RECONCILIATION),
        time("issued_at"),
        time("due_at"),
    ],
};

/// Payments that came in; a refund is a row of its own with a negative amount.
pub static ACCOUNTING_PAYMENTS: BusinessTable = BusinessTable {
    name: "accounting_payments",
    columns: &[
        text("customer_external_id", 190),
        text("invoice_external_id", 190),
        words("payment_status", &["succeeded", "pending", "failed", "refunded", "unknown"]),
        amount("paid_amount"),
        text("currency", 3),
        text("method", 60),
        words("reconciliation", RECONCILIATION),
        time("paid_at"),
    ],
};

/// What a campaign cost, a row for each campaign and day.
pub static CAMPAIGN_SPEND: BusinessTable = BusinessTable {
    name: "campaign_spend",
    columns: &[
        text("campaign", 200),
        text("channel", 100),
        amount("spend_amount"),
        text("currency", 3),
        integer("impressions"),
        integer("clicks"),
        decimal("conversions"),
        time("spent_at"),
    ],
};

/// Visits from search, a row for each day and dimension.
pub static SEARCH_TRAFFIC_DAILY: BusinessTable = BusinessTable {
    name: "search_traffic_daily",
    columns: &[
        text("site", 320),
        text("page", 700),
        text("query", 320),
        text("country", 40),
        text("device", 40),
        integer("clicks"),
        integer("impressions"),
        decimal("position"),
        time("measured_at"),
    ],
};

/// Reviews by customers.
pub static REVIEWS: BusinessTable = BusinessTable {
    name: "reviews",
    columns: &[
        decimal("rating"),
        text("reviewer_name", 200),
        flag("replied"),
        text("location", 200),
        time("reviewed_at"),
        time("replied_at"),
    ],
};

/// Every business table, in the order in which they are documented.
pub static TABLES: &[&BusinessTable] = &[
    &CRM_LEADS,
    &CRM_LEAD_EVENTS,
    &PHONE_CALLS,
    &MESSAGE_DELIVERIES,
    &FIELD_JOBS,
    &ACCOUNTING_CUSTOMERS,
    &ACCOUNTING_INVOICES,
    &ACCOUNTING_PAYMENTS,
    &CAMPAIGN_SPEND,
    &SEARCH_TRAFFIC_DAILY,
    &REVIEWS,
];

/// The table of that name.
pub fn table(name: &str) -> Option<&'static BusinessTable> {
    TABLES.iter().copied().find(|t| t.name == name)
}
