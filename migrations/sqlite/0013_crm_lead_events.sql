-- What happened to a lead: deals, stage movements. Projected and booked values are never one column.
create table if not exists crm_lead_events (
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
    lead_external_id text check (length(lead_external_id) <= 190),
    event_type text,
    title text,
    stage text,
    pipeline text,
    owner text,
    projected_amount text,
    booked_amount text,
    -- ISO 4217.
    currency text,
    occurred_at text,
    closed_at text,
    constraint uq_crm_lead_events_object unique (connection_id, object_type, external_id),
    constraint fk_crm_lead_events_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) strict;

create index if not exists ix_crm_lead_events_connection on crm_lead_events (connection_id, client_id);
