-- Retries that are made by themselves, with bounds: how many were made, and an index for what is due. Who has used them up still waits for
-- somebody, so it keeps the place of the one open row of its item. SQLite cannot alter a generated column: the table is written anew.
create table integration_sync_errors_next (
    id integer not null primary key autoincrement,
    run_id integer not null,
    job_id integer not null,
    connection_id integer not null,
    client_id integer not null,
    origin text not null,
    stage text not null,
    stream text not null check (length(stream) <= 190),
    -- Empty when the item has none.
    external_id text not null default '' check (length(external_id) <= 190),
    raw_event_id integer,
    fingerprint text not null check (length(fingerprint) <= 190),
    error_code text not null,
    message_internal text not null,
    message_client_safe text not null,
    remedy text not null,
    payload_hash text not null,
    attempts integer not null default 1,
    first_seen_at text not null,
    last_seen_at text not null,
    next_retry_at text,
    status text not null,
    resolved_at text,
    resolved_by text check (length(resolved_by) <= 190),
    -- 1 while somebody has to act, otherwise null, which a unique key does not compare: at most one open row for an item.
    open_slot integer generated always as (case when status in ('open', 'retry_scheduled', 'exhausted') then 1 end) stored,
    -- How many retries were made by themselves.
    retries integer not null default 0,
    constraint uq_integration_sync_errors_open unique (connection_id, stream, external_id, payload_hash, open_slot),
    constraint fk_integration_sync_errors_run foreign key (run_id) references integration_sync_runs (id),
    constraint fk_integration_sync_errors_job foreign key (job_id) references integration_sync_jobs (id),
    constraint fk_integration_sync_errors_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_sync_errors_origin check (origin in ('pull', 'webhook', 'import')),
    constraint ck_integration_sync_errors_stage check (stage in ('fetch', 'decode', 'map', 'write', 'check')),
    constraint ck_integration_sync_errors_status check (status in ('open', 'retry_scheduled', 'resolved', 'discarded', 'exhausted'))
) strict;

insert into integration_sync_errors_next (id, run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, raw_event_id, fingerprint, error_code,
    message_internal, message_client_safe, remedy, payload_hash, attempts, first_seen_at, last_seen_at, next_retry_at, status, resolved_at,
    resolved_by)
    select id, run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, raw_event_id, fingerprint, error_code,
    message_internal, message_client_safe, remedy, payload_hash, attempts, first_seen_at, last_seen_at, next_retry_at, status, resolved_at,
    resolved_by from integration_sync_errors;
drop table integration_sync_errors;
alter table integration_sync_errors_next rename to integration_sync_errors;

create index if not exists ix_integration_sync_errors_run on integration_sync_errors (run_id);
create index if not exists ix_integration_sync_errors_job on integration_sync_errors (job_id, status);
create index if not exists ix_integration_sync_errors_connection on integration_sync_errors (connection_id, client_id);
create index if not exists ix_integration_sync_errors_status on integration_sync_errors (status, fingerprint);
create index if not exists ix_integration_sync_errors_due on integration_sync_errors (status, next_retry_at);
