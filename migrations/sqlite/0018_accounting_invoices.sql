-- Invoices. An invoiced amount is no payment.
create table if not exists accounting_invoices (
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
    invoice_number text,
    customer_external_id text check (length(customer_external_id) <= 190),
    invoice_status text,
    invoiced_amount text,
    tax_amount text,
    open_amount text,
    -- ISO 4217.
    currency text,
    reconciliation text,
    issued_at text,
    due_at text,
    constraint uq_accounting_invoices_object unique (connection_id, client_id, object_type, external_id),
    constraint fk_accounting_invoices_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_accounting_invoices_invoice_status check (invoice_status in ('draft', 'open', 'paid', 'void', 'uncollectible', 'unknown')),
    constraint ck_accounting_invoices_reconciliation check (reconciliation in ('unreconciled', 'reconciled', 'disputed'))
) strict;
