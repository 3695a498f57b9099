-- Customers as the books know them.
create table if not exists accounting_customers (
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
    display_name text,
    email text,
    phone text,
    active integer,
    -- ISO 4217.
    currency text,
    created_at text,
    constraint uq_accounting_customers_object unique (connection_id, client_id, object_type, external_id),
    constraint fk_accounting_customers_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) strict;
