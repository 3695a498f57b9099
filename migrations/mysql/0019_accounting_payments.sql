-- Payments that came in. A refund is a row of its own with a negative amount.
create table if not exists accounting_payments (
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
    customer_external_id varchar(190),
    invoice_external_id varchar(190),
    payment_status varchar(40),
    paid_amount decimal(18, 4),
    -- ISO 4217.
    currency varchar(3),
    method varchar(60),
    reconciliation varchar(40),
    paid_at datetime(6),
    primary key (id),
    unique key uq_accounting_payments_object (connection_id, client_id, object_type, external_id),
    constraint fk_accounting_payments_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_accounting_payments_payment_status check (payment_status in ('succeeded', 'pending', 'failed', 'refunded', 'unknown')),
    constraint ck_accounting_payments_reconciliation check (reconciliation in ('unreconciled', 'reconciled', 'disputed'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
