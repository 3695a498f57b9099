-- Secrets that Tidegate keeps: only ciphertext, each bound to its row by associated data. One row per credential: a new
-- version replaces the former, for a secret that is no longer used is only something to lose.
create table if not exists integration_credentials (
    id integer not null primary key autoincrement,
    credential_key text not null check (length(credential_key) <= 190),
    connection_id integer not null,
    client_id integer not null,
    -- Grows with each new secret and each new data key; part of what the ciphertext is bound to.
    version integer not null default 1,
    algorithm text not null,
    -- Which key-encryption key wrapped the data key; a fingerprint or a name, never the key.
    key_id text not null check (length(key_id) <= 190),
    -- Base64, or the transit service's own text. All three are empty once the credential is revoked.
    wrapped_key text not null,
    nonce text not null,
    ciphertext text not null,
    -- When the access token ends, as the provider said.
    expires_at text,
    refresh_state text not null default 'idle',
    -- When the running or last refresh began: written before the provider is asked.
    refresh_started_at text,
    -- Refreshes of this version that began and never told how they ended.
    refresh_attempts integer not null default 0,
    -- Failed refreshes in a row, and until when nobody asks again.
    refresh_failures integer not null default 0,
    cooling_until text,
    -- Why the last refresh failed, for operators.
    last_error text,
    fence integer not null default 0,
    lease_owner text check (length(lease_owner) <= 190),
    lease_until text,
    created_at text not null,
    -- When this version was written.
    stored_at text not null,
    revoked_at text,
    constraint uq_integration_credentials_key unique (credential_key),
    constraint fk_integration_credentials_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_credentials_refresh_state check (refresh_state in ('idle', 'refreshing', 'cooling_down', 'needs_auth')),
    constraint ck_integration_credentials_revoked check (revoked_at is null or (wrapped_key = '' and nonce = '' and ciphertext = ''))
) strict;

create index if not exists ix_integration_credentials_connection on integration_credentials (connection_id, client_id);
