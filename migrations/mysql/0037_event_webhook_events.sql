-- What providers told by webhook: one row for each delivery, with a summary, never its body. A delivery is no record: what it
-- carries is counted by the run that normalises it.
create table if not exists event_webhook_events (
    id bigint not null auto_increment,
    connection_id bigint not null,
    client_id bigint not null,
    provider_key varchar(190) not null,
    -- The provider's own name for the delivery, or a fingerprint: the same one twice is one row.
    delivery_id varchar(190) not null,
    event_name varchar(190) not null,
    payload_summary varchar(500) not null,
    status varchar(40) not null,
    -- Runs that tried to normalise it and did not get through.
    attempts bigint not null default 0,
    next_attempt_at datetime(6),
    received_at datetime(6) not null,
    -- When the provider says that it happened, and that the record it carries last changed.
    occurred_at datetime(6),
    source_updated_at datetime(6),
    -- What it carries: a record (with its raw event), a wish to fetch (a stream only), or nothing.
    stream varchar(190),
    external_id varchar(190),
    -- Without a foreign key: raw rows have a retention of their own.
    raw_event_id bigint,
    -- The run that normalised it, or whose completion answered it.
    run_id bigint,
    reason varchar(300),
    settled_at datetime(6),
    primary key (id),
    unique key uq_event_webhook_events_delivery (connection_id, delivery_id),
    key ix_event_webhook_events_connection (connection_id, client_id),
    -- What still waits: few rows, whatever has been received.
    key ix_event_webhook_events_waiting (status, connection_id, stream, id),
    constraint fk_event_webhook_events_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_event_webhook_events_status check (status in ('received', 'duplicate', 'ignored', 'normalized', 'failed')),
    constraint ck_event_webhook_events_record check (raw_event_id is null or (stream is not null and external_id is not null))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
