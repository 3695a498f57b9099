-- What arrived, as it arrived, and what became of it. Anything can be normalised again from here without the provider.
-- It names its run without a foreign key: raw rows have a retention of their own and may move to a second database.
create table if not exists integration_raw_events (
    id integer not null primary key autoincrement,
    connection_id integer not null,
    client_id integer not null,
    run_id integer not null,
    origin text not null,
    stream text not null check (length(stream) <= 190),
    external_id text not null check (length(external_id) <= 190),
    -- Also what is not JSON is kept, so there is no check on it.
    payload text not null,
    payload_hash text not null,
    source_label text not null check (length(source_label) <= 190),
    received_at text not null,
    status text not null,
    reason text,
    is_test integer not null default 0,
    constraint fk_integration_raw_events_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_raw_events_origin check (origin in ('pull', 'webhook', 'import')),
    constraint ck_integration_raw_events_status check (status in ('pending', 'normalized', 'unchanged', 'duplicate', 'ignored', 'failed'))
) strict;

create index if not exists ix_integration_raw_events_connection on integration_raw_events (connection_id, client_id);
create index if not exists ix_integration_raw_events_run on integration_raw_events (run_id, status);
