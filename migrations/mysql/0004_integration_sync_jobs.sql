-- A job is one stream of one connection. It holds the schedule, how far it has got, and the lease of whoever works on it.
create table if not exists integration_sync_jobs (
    id bigint not null auto_increment,
    connection_id bigint not null,
    client_id bigint not null,
    stream varchar(190) not null,
    sync_mode varchar(40) not null,
    -- Null: only by hand.
    schedule varchar(190),
    status varchar(40) not null,
    -- How far everything has been handed over, in the connector's own shape, and the same as a number that may only grow (P2).
    cursor_state longtext,
    cursor_order bigint,
    -- Where an unfinished listing could go on.
    resume_position longtext,
    next_run_at datetime(6),
    stale_after_seconds bigint,
    last_complete_at datetime(6),
    -- How many records the last complete listing had: a later empty one is suspicious (P6).
    last_complete_seen bigint,
    consecutive_failures bigint not null default 0,
    -- The lease: the fence rises with each claim and is never used again; the term is random; both stand in the WHERE of
    -- every write of a run (P7). Only the database's clock says whether lease_until has passed.
    fence bigint not null default 0,
    term_id varchar(64),
    lease_owner varchar(190),
    lease_until datetime(6),
    -- Claims since the last run that finished; a job that keeps killing its worker is quarantined by it (P9).
    attempts bigint not null default 0,
    primary key (id),
    unique key uq_integration_sync_jobs_stream (connection_id, stream),
    key ix_integration_sync_jobs_connection (connection_id, client_id),
    -- What is due: ten thousand idle jobs cost one range read.
    key ix_integration_sync_jobs_due (status, next_run_at),
    key ix_integration_sync_jobs_lease (lease_until),
    constraint fk_integration_sync_jobs_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_sync_jobs_sync_mode check (sync_mode in ('full_refresh', 'incremental')),
    constraint ck_integration_sync_jobs_status check (status in ('active', 'paused', 'quarantined')),
    constraint ck_integration_sync_jobs_cursor check (json_valid(cursor_state)),
    constraint ck_integration_sync_jobs_resume check (json_valid(resume_position))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
