-- The proof that a record exists: which object of a provider is which row of ours, with the payload it was last written
-- from. Every write of a record goes through its link.
create table if not exists integration_object_links (
    id integer not null primary key autoincrement,
    connection_id integer not null,
    client_id integer not null,
    object_type text not null,
    external_id text not null check (length(external_id) <= 190),
    internal_table text not null,
    internal_id integer not null,
    payload_hash text not null,
    -- The mapped row's fingerprint: a replay through another field map compares it.
    record_hash text not null,
    -- The latest raw event of the object; it may be gone by its retention.
    raw_event_id integer,
    source_updated_at text,
    first_run_id integer not null,
    last_run_id integer not null,
    is_test integer not null default 0,
    mapping_version text,
    constraint uq_integration_object_links_object unique (connection_id, object_type, external_id),
    constraint fk_integration_object_links_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) strict;

create index if not exists ix_integration_object_links_connection on integration_object_links (connection_id, client_id);
create index if not exists ix_integration_object_links_first_run on integration_object_links (first_run_id);
