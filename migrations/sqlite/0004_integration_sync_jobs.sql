-- A job is one stream of one connection. It holds the schedule, how far it has got, and the lease of whoever works on it.
create table if not exists integration_sync_jobs (
    id integer not null primary key autoincrement,
    connection_id integer not null,
    client_id integer not null,
    stream text not null check (length(stream) <= 190),
    sync_mode text not null,
    -- Null: only by hand.
    schedule text check (length(schedule) <= 190),
    status text not null,
    -- How far everything has been handed over, in the connector's own shape, and the same as a number that may only grow (P2).
    cursor_state text,
    cursor_order integer,
    -- Where an unfinished listing could go on.
    resume_position text,
    next_run_at text,
    stale_after_seconds integer,
    last_complete_at text,
    -- How many records the last complete listing had: a later empty one is suspicious (P6).
    last_complete_seen integer,
    consecutive_failures integer not null default 0,
    -- The lease: the fence rises with each claim and is never used again; the term is random; both stand in the WHERE of
    -- every write of a run (P7). Only the database's clock says whether lease_until has passed.
    fence integer not null default 0,
    term_id text,
    lease_owner text check (length(lease_owner) <= 190),
    lease_until text,
    -- Claims since the last run that finished; a job that keeps killing its worker is quarantined by it (P9).
    attempts integer not null default 0,
    constraint uq_integration_sync_jobs_stream unique (connection_id, stream),
    constraint fk_integration_sync_jobs_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_sync_jobs_sync_mode check (sync_mode in ('full_refresh', 'incremental')),
    constraint ck_integration_sync_jobs_status check (status in ('active', 'paused', 'quarantined')),
    constraint ck_integration_sync_jobs_cursor check (json_valid(cursor_state)),
    constraint ck_integration_sync_jobs_resume check (json_valid(resume_position))
) strict;

create index if not exists ix_integration_sync_jobs_connection on integration_sync_jobs (connection_id, client_id);
-- What is due: ten thousand idle jobs cost one range read.
create index if not exists ix_integration_sync_jobs_due on integration_sync_jobs (status, next_run_at);
create index if not exists ix_integration_sync_jobs_lease on integration_sync_jobs (lease_until);
