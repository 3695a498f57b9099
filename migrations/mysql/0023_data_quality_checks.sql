-- What each check saw, once for each time it was made. A check that broke is errored, and an unknown one is not green.
create table if not exists data_quality_checks (
    id bigint not null auto_increment,
    -- The run after which the check was made; null when a person asked for it.
    run_id bigint,
    client_id bigint not null,
    connection_id bigint not null,
    check_key varchar(100) not null,
    severity varchar(40) not null,
    status varchar(40) not null,
    observed text,
    expected text,
    detail_internal text,
    message_client_safe text,
    -- All results of one evaluation of a connection share it; the newest one counts.
    evaluation_id varchar(36) not null,
    checked_at datetime(6) not null,
    primary key (id),
    key ix_data_quality_checks_connection (connection_id, client_id, check_key),
    -- The newest of a connection, in one look.
    key ix_data_quality_checks_newest (connection_id, id),
    key ix_data_quality_checks_evaluation (evaluation_id),
    key ix_data_quality_checks_run (run_id),
    constraint fk_data_quality_checks_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_data_quality_checks_severity check (severity in ('error', 'warn')),
    constraint ck_data_quality_checks_status check (status in ('passed', 'failed', 'errored', 'unknown'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
