-- Work that was booked at a customer. What it is worth here is booked, never invoiced or paid.
create table if not exists field_jobs (
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
    job_number text,
    customer_external_id text check (length(customer_external_id) <= 190),
    lead_external_id text check (length(lead_external_id) <= 190),
    service_type text,
    progress text,
    business_unit text,
    attribution_source text,
    paid_or_organic text,
    booked_amount text,
    -- ISO 4217.
    currency text,
    booked_at text,
    scheduled_at text,
    completed_at text,
    canceled_at text,
    constraint uq_field_jobs_object unique (connection_id, object_type, external_id),
    constraint fk_field_jobs_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_field_jobs_progress check (progress in ('booked', 'scheduled', 'dispatched', 'in_progress', 'completed', 'canceled', 'unknown')),
    constraint ck_field_jobs_paid_or_organic check (paid_or_organic in ('paid', 'organic', 'unknown'))
) strict;

create index if not exists ix_field_jobs_connection on field_jobs (connection_id, client_id);
