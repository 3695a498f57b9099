-- A number as it was computed once: never changed, so that what was published can always be explained.
create table if not exists metric_snapshots (
    id bigint not null auto_increment,
    client_id bigint not null,
    connection_id bigint not null,
    metric_key varchar(190) not null,
    -- What was computed, as one hash: table, filter, aggregation, time column, window, unit. Only like is compared with like.
    definition char(64) character set ascii collate ascii_bin not null,
    source_label varchar(190) not null,
    period_kind varchar(40) not null,
    period_start datetime(6) not null,
    -- Exclusive.
    period_end datetime(6) not null,
    unit varchar(40) not null,
    -- ISO 4217; only for money.
    currency varchar(3),
    -- Null: there is nothing to tell, which is no zero.
    value decimal(18, 4),
    rows_counted bigint not null,
    complete tinyint(1) not null,
    incomplete_reason text,
    -- The runs whose rows were counted, as a JSON list.
    run_ids longtext not null,
    -- computed from rows, or declared by a person with evidence.
    origin varchar(40) not null,
    evidence text,
    computed_at datetime(6) not null,
    primary key (id),
    unique key uq_metric_snapshots_client (id, client_id),
    key ix_metric_snapshots_connection (connection_id, client_id),
    key ix_metric_snapshots_metric (client_id, metric_key, source_label, period_start),
    constraint fk_metric_snapshots_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_metric_snapshots_complete check (complete in (0, 1)),
    constraint ck_metric_snapshots_reason check (complete = 1 or incomplete_reason is not null),
    constraint ck_metric_snapshots_period check (period_start < period_end),
    constraint ck_metric_snapshots_run_ids check (json_valid(run_ids)),
    constraint ck_metric_snapshots_origin check (origin in ('computed', 'declared'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
