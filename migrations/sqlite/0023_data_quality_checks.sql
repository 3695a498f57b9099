-- What each check saw, once for each time it was made. A check that broke is errored, and an unknown one is not green.
create table if not exists data_quality_checks (
    id integer not null primary key autoincrement,
    -- The run after which the check was made; null when a person asked for it.
    run_id integer,
    client_id integer not null,
    connection_id integer not null,
    check_key text not null,
    severity text not null,
    status text not null,
    observed text,
    expected text,
    detail_internal text,
    message_client_safe text,
    -- All results of one evaluation of a connection share it; the newest one counts.
    evaluation_id text not null,
    checked_at text not null,
    constraint fk_data_quality_checks_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_data_quality_checks_severity check (severity in ('error', 'warn')),
    constraint ck_data_quality_checks_status check (status in ('passed', 'failed', 'errored', 'unknown'))
) strict;

create index if not exists ix_data_quality_checks_connection on data_quality_checks (connection_id, client_id, check_key);
-- The newest of a connection, in one look.
create index if not exists ix_data_quality_checks_newest on data_quality_checks (connection_id, id);
create index if not exists ix_data_quality_checks_evaluation on data_quality_checks (evaluation_id);
create index if not exists ix_data_quality_checks_run on data_quality_checks (run_id);
