-- What providers told by webhook: one row for each delivery, with a summary, never its body. A delivery is no record: what it
-- carries is counted by the run that normalises it.
create table if not exists event_webhook_events (
    id integer not null primary key autoincrement,
    connection_id integer not null,
    client_id integer not null,
    provider_key text not null check (length(provider_key) <= 190),
    -- The provider's own name for the delivery, or a fingerprint: the same one twice is one row.
    delivery_id text not null check (length(delivery_id) <= 190),
    event_name text not null check (length(event_name) <= 190),
    payload_summary text not null check (length(payload_summary) <= 500),
    status text not null,
    -- Runs that tried to normalise it and did not get through.
    attempts integer not null default 0,
    next_attempt_at text,
    received_at text not null,
    -- When the provider says that it happened, and that the record it carries last changed.
    occurred_at text,
    source_updated_at text,
    -- What it carries: a record (with its raw event), a wish to fetch (a stream only), or nothing.
    stream text check (length(stream) <= 190),
    external_id text check (length(external_id) <= 190),
    -- Without a foreign key: raw rows have a retention of their own.
    raw_event_id integer,
    -- The run that normalised it, or whose completion answered it.
    run_id integer,
    reason text,
    settled_at text,
    constraint uq_event_webhook_events_delivery unique (connection_id, delivery_id),
    constraint fk_event_webhook_events_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_event_webhook_events_status check (status in ('received', 'duplicate', 'ignored', 'normalized', 'failed')),
    constraint ck_event_webhook_events_record check (raw_event_id is null or (stream is not null and external_id is not null))
) strict;

create index if not exists ix_event_webhook_events_connection on event_webhook_events (connection_id, client_id);
-- What still waits: few rows, whatever has been received.
create index if not exists ix_event_webhook_events_waiting on event_webhook_events (status, connection_id, stream, id);
