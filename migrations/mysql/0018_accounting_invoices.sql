-- Invoices. An invoiced amount is no payment.
create table if not exists accounting_invoices (
    id bigint not null auto_increment,
    client_id bigint not null,
    connection_id bigint not null,
    provider_key varchar(190) not null,
    source_label varchar(190) not null,
    object_type varchar(100) not null,
    external_id varchar(190) not null,
    first_run_id bigint not null,
    last_run_id bigint not null,
    source_updated_at datetime(6),
    -- Set when a run is taken back; reports leave such rows out.
    voided_at datetime(6),
    is_test tinyint(1) not null default 0,
    invoice_number varchar(100),
    customer_external_id varchar(190),
    invoice_status varchar(40),
    invoiced_amount decimal(18, 4),
    tax_amount decimal(18, 4),
    open_amount decimal(18, 4),
    -- ISO 4217.
    currency varchar(3),
    reconciliation varchar(40),
    issued_at datetime(6),
    due_at datetime(6),
    primary key (id),
    unique key uq_accounting_invoices_object (connection_id, client_id, object_type, external_id),
    constraint fk_accounting_invoices_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_accounting_invoices_invoice_status check (invoice_status in ('draft', 'open', 'paid', 'void', 'uncollectible', 'unknown')),
    constraint ck_accounting_invoices_reconciliation check (reconciliation in ('unreconciled', 'reconciled', 'disputed'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
