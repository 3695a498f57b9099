-- A connection is one client's account at one provider in one environment. The same account in the same environment
-- cannot belong to two clients (P15).
create table if not exists integration_connections (
    id bigint not null auto_increment,
    connection_key varchar(190) not null,
    client_id bigint not null,
    provider_key varchar(190) not null,
    provider_account_id varchar(190) not null,
    environment varchar(40) not null,
    status varchar(40) not null,
    -- Why it is in that status, for operators.
    status_reason text,
    owner varchar(190),
    reason text,
    -- What a client may call the source; sources are never merged across labels (P16).
    source_label varchar(190) not null,
    auth_type varchar(40) not null,
    -- A JSON list of words.
    scopes longtext not null,
    -- A reference such as env:NAME; never the secret.
    credential_ref varchar(300),
    refresh_policy varchar(100),
    revocation_path text,
    failure_path text,
    rollback_path text,
    last_tested_at datetime(6),
    -- When a production connection passed the launch gate; without it no live run happens.
    activated_at datetime(6),
    config longtext not null,
    primary key (id),
    unique key uq_integration_connections_key (connection_key),
    unique key uq_integration_connections_account (provider_key, provider_account_id, environment),
    -- What every table below references as a pair, so that a row whose client and connection disagree is refused.
    unique key uq_integration_connections_client (id, client_id),
    key ix_integration_connections_client (client_id),
    constraint fk_integration_connections_client foreign key (client_id) references core_clients (id),
    constraint fk_integration_connections_provider foreign key (provider_key) references integration_providers (provider_key),
    constraint ck_integration_connections_environment check (environment in ('production', 'staging', 'sandbox')),
    constraint ck_integration_connections_status check (status in ('draft', 'testing', 'connected', 'manual_import', 'paused', 'needs_auth', 'revoked')),
    constraint ck_integration_connections_scopes check (json_valid(scopes)),
    constraint ck_integration_connections_config check (json_valid(config))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
