-- Where a connection's deliveries come in: an unguessable path, of which only the SHA-256 is kept, and what they are signed with.
create table if not exists integration_webhook_endpoints (
    id integer not null primary key autoincrement,
    connection_id integer not null,
    client_id integer not null,
    -- Null while secrets are declared and no path was made yet.
    path_hash text,
    path_created_at text,
    -- A JSON list of references such as vault:KEY, the present one first; never a secret.
    secrets text not null,
    last_verified_at text,
    -- Since the row was made; written now and then by the processes that count.
    accepted integer not null default 0,
    duplicates integer not null default 0,
    refused integer not null default 0,
    unreadable integer not null default 0,
    created_at text not null,
    constraint uq_integration_webhook_endpoints_connection unique (connection_id, client_id),
    constraint uq_integration_webhook_endpoints_path unique (path_hash),
    constraint fk_integration_webhook_endpoints_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_webhook_endpoints_secrets check (json_valid(secrets))
) strict;
