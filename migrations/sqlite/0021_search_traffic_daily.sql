-- Visits from search, a row for each day and dimension that the provider tells.
create table if not exists search_traffic_daily (
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
    site text,
    page text,
    query text,
    country text,
    device text,
    clicks integer,
    impressions integer,
    position text,
    measured_at text,
    constraint uq_search_traffic_daily_object unique (connection_id, client_id, object_type, external_id),
    constraint fk_search_traffic_daily_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) strict;
