-- Payments that came in. A refund is a row of its own with a negative amount.
create table if not exists accounting_payments (
    id integer not null primary key autoincrement,
    client_id integer not null,
    connection_id integer not null,
    provider_key text not null check (length(provider_key) <= 190),
    source_label text not null check (length(source_label) <= 190),
    object_type text not null,
    external_id text not null check (length(external_id) <= 190),
    first_run_id integer not null,
    last_run_id integer not null,
    source_updated_at text,
    -- Set when a run is taken back; reports leave such rows out.
    voided_at text,
    is_test integer not null default 0,
    customer_external_id text check (length(customer_external_id) <= 190),
    invoice_external_id text check (length(invoice_external_id) <= 190),
    payment_status text,
    paid_amount text,
    -- ISO 4217.
    currency text,
    method text,
    reconciliation text,
    paid_at text,
    constraint uq_accounting_payments_object unique (connection_id, client_id, object_type, external_id),
    constraint fk_accounting_payments_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_accounting_payments_payment_status check (payment_status in ('succeeded', 'pending', 'failed', 'refunded', 'unknown')),
    constraint ck_accounting_payments_reconciliation check (reconciliation in ('unreconciled', 'reconciled', 'disputed'))
) strict;
