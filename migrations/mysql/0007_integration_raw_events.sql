-- What arrived, as it arrived, and what became of it. Anything can be normalised again from here without the provider.
-- It names its run without a foreign key: raw rows have a retention of their own and may move to a second database.
create table if not exists integration_raw_events (
    id bigint not null auto_increment,
    connection_id bigint not null,
    client_id bigint not null,
    run_id bigint not null,
    origin varchar(40) not null,
    stream varchar(190) not null,
    external_id varchar(190) not null,
    -- Also what is not JSON is kept, so there is no check on it.
    payload longtext not null,
    payload_hash char(64) character set ascii collate ascii_bin not null,
    source_label varchar(190) not null,
    received_at datetime(6) not null,
    status varchar(40) not null,
    reason varchar(300),
    is_test tinyint(1) not null default 0,
    primary key (id),
    key ix_integration_raw_events_connection (connection_id, client_id),
    key ix_integration_raw_events_run (run_id, status),
    constraint fk_integration_raw_events_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_raw_events_origin check (origin in ('pull', 'webhook', 'import')),
    constraint ck_integration_raw_events_status check (status in ('pending', 'normalized', 'unchanged', 'duplicate', 'ignored', 'failed'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
