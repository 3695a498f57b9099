-- A run is one attempt at a job. It always leaves a row, reaches one final status, and is never changed after that (P6).
create table if not exists integration_sync_runs (
    id integer not null primary key autoincrement,
    job_id integer not null,
    connection_id integer not null,
    client_id integer not null,
    provider_key text not null check (length(provider_key) <= 190),
    stream text not null check (length(stream) <= 190),
    origin text not null,
    status text not null,
    -- The range of data that was asked for, where the provider can be asked for a range.
    window_start text,
    window_end text,
    cursor_before text,
    cursor_after text,
    started_at text not null,
    finished_at text,
    pages integer not null default 0,
    requests integer not null default 0,
    retries integer not null default 0,
    rate_limited_ms integer not null default 0,
    bytes_in integer not null default 0,
    records_seen integer not null default 0,
    records_created integer not null default 0,
    records_updated integer not null default 0,
    records_unchanged integer not null default 0,
    records_duplicate integer not null default 0,
    records_ignored integer not null default 0,
    records_failed integer not null default 0,
    error_code text,
    error_internal text,
    error_client_safe text,
    remedy text,
    worker text check (length(worker) <= 190),
    -- The job's fence under which this run wrote.
    fence integer not null,
    mapping_version text,
    -- Names of payload fields that no map uses, with counts.
    unmapped_fields text,
    constraint fk_integration_sync_runs_job foreign key (job_id) references integration_sync_jobs (id),
    constraint fk_integration_sync_runs_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_sync_runs_origin check (origin in ('schedule', 'manual', 'backfill', 'test_batch', 'webhook', 'import', 'replay')),
    constraint ck_integration_sync_runs_status check (status in ('running', 'succeeded', 'partial', 'failed', 'cancelled', 'abandoned')),
    -- A finished run has an end, and its buckets add up (P3).
    constraint ck_integration_sync_runs_finished check (status = 'running' or finished_at is not null),
    constraint ck_integration_sync_runs_counts check (status = 'running' or records_seen = records_created + records_updated + records_unchanged + records_duplicate + records_ignored + records_failed),
    constraint ck_integration_sync_runs_cursor_before check (json_valid(cursor_before)),
    constraint ck_integration_sync_runs_cursor_after check (json_valid(cursor_after)),
    constraint ck_integration_sync_runs_unmapped check (json_valid(unmapped_fields))
) strict;

create index if not exists ix_integration_sync_runs_job on integration_sync_runs (job_id);
create index if not exists ix_integration_sync_runs_connection on integration_sync_runs (connection_id, client_id);
create index if not exists ix_integration_sync_runs_status on integration_sync_runs (status, job_id);
