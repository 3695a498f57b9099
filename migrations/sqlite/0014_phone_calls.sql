-- Calls, answered or missed. Recordings and transcripts are never kept here.
create table if not exists phone_calls (
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
    direction text,
    outcome text,
    -- E.164.
    from_phone text,
    to_phone text,
    duration_seconds integer,
    tracking_source text,
    paid_or_organic text,
    lead_external_id text check (length(lead_external_id) <= 190),
    occurred_at text,
    answered_at text,
    constraint uq_phone_calls_object unique (connection_id, client_id, object_type, external_id),
    constraint fk_phone_calls_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_phone_calls_direction check (direction in ('inbound', 'outbound', 'unknown')),
    constraint ck_phone_calls_outcome check (outcome in ('answered', 'missed', 'voicemail', 'abandoned', 'unknown')),
    constraint ck_phone_calls_paid_or_organic check (paid_or_organic in ('paid', 'organic', 'unknown'))
) strict;
