-- A connection is one client's account at one provider in one environment. The same account in the same environment
-- cannot belong to two clients (P15).
create table if not exists integration_connections (
    id integer not null primary key autoincrement,
    connection_key text not null check (length(connection_key) <= 190),
    client_id integer not null,
    provider_key text not null check (length(provider_key) <= 190),
    provider_account_id text not null check (length(provider_account_id) <= 190),
    environment text not null,
    status text not null,
    -- Why it is in that status, for operators.
    status_reason text,
    owner text check (length(owner) <= 190),
    reason text,
    -- What a client may call the source; sources are never merged across labels (P16).
    source_label text not null check (length(source_label) <= 190),
    auth_type text not null,
    -- A JSON list of words.
    scopes text not null,
    -- A reference such as env:NAME; never the secret.
    credential_ref text,
    refresh_policy text,
    revocation_path text,
    failure_path text,
    rollback_path text,
    last_tested_at text,
    -- When a production connection passed the launch gate; without it no live run happens.
    activated_at text,
    config text not null,
    constraint uq_integration_connections_key unique (connection_key),
    constraint uq_integration_connections_account unique (provider_key, provider_account_id, environment),
    -- What every table below references as a pair, so that a row whose client and connection disagree is refused.
    constraint uq_integration_connections_client unique (id, client_id),
    constraint fk_integration_connections_client foreign key (client_id) references core_clients (id),
    constraint fk_integration_connections_provider foreign key (provider_key) references integration_providers (provider_key),
    constraint ck_integration_connections_environment check (environment in ('production', 'staging', 'sandbox')),
    constraint ck_integration_connections_status check (status in ('draft', 'testing', 'connected', 'manual_import', 'paused', 'needs_auth', 'revoked')),
    constraint ck_integration_connections_scopes check (json_valid(scopes)),
    constraint ck_integration_connections_config check (json_valid(config))
) strict;

create index if not exists ix_integration_connections_client on integration_connections (client_id);
