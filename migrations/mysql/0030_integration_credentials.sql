-- Secrets that Tidegate keeps: only ciphertext, each bound to its row by associated data. One row per credential: a new
-- version replaces the former, for a secret that is no longer used is only something to lose.
create table if not exists integration_credentials (
    id bigint not null auto_increment,
    credential_key varchar(190) not null,
    connection_id bigint not null,
    client_id bigint not null,
    -- Grows with each new secret and each new data key; part of what the ciphertext is bound to.
    version bigint not null default 1,
    algorithm varchar(40) not null,
    -- Which key-encryption key wrapped the data key; a fingerprint or a name, never the key.
    key_id varchar(190) not null,
    -- Base64, or the transit service's own text. All three are empty once the credential is revoked.
    wrapped_key text not null,
    nonce varchar(40) not null,
    ciphertext longtext not null,
    -- When the access token ends, as the provider said.
    expires_at datetime(6),
    refresh_state varchar(40) not null default 'idle',
    -- When the running or last refresh began: written before the provider is asked.
    refresh_started_at datetime(6),
    -- Refreshes of this version that began and never told how they ended.
    refresh_attempts bigint not null default 0,
    -- Failed refreshes in a row, and until when nobody asks again.
    refresh_failures bigint not null default 0,
    cooling_until datetime(6),
    -- Why the last refresh failed, for operators.
    last_error text,
    fence bigint not null default 0,
    lease_owner varchar(190),
    lease_until datetime(6),
    created_at datetime(6) not null,
    -- When this version was written.
    stored_at datetime(6) not null,
    revoked_at datetime(6),
    primary key (id),
    unique key uq_integration_credentials_key (credential_key),
    key ix_integration_credentials_connection (connection_id, client_id),
    constraint fk_integration_credentials_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_credentials_refresh_state check (refresh_state in ('idle', 'refreshing', 'cooling_down', 'needs_auth')),
    constraint ck_integration_credentials_revoked check (revoked_at is null or (wrapped_key = '' and nonce = '' and ciphertext = ''))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
