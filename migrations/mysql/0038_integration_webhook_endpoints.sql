-- Where a connection's deliveries come in: an unguessable path, of which only the SHA-256 is kept, and what they are signed with.
create table if not exists integration_webhook_endpoints (
    id bigint not null auto_increment,
    connection_id bigint not null,
    client_id bigint not null,
    -- Null while secrets are declared and no path was made yet.
    path_hash char(64) character set ascii collate ascii_bin,
    path_created_at datetime(6),
    -- A JSON list of references such as vault:KEY, the present one first; never a secret.
    secrets longtext not null,
    last_verified_at datetime(6),
    -- Since the row was made; written now and then by the processes that count.
    accepted bigint not null default 0,
    duplicates bigint not null default 0,
    refused bigint not null default 0,
    unreadable bigint not null default 0,
    created_at datetime(6) not null,
    primary key (id),
    unique key uq_integration_webhook_endpoints_connection (connection_id, client_id),
    unique key uq_integration_webhook_endpoints_path (path_hash),
    constraint fk_integration_webhook_endpoints_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_webhook_endpoints_secrets check (json_valid(secrets))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
