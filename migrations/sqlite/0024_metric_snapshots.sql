-- A number as it was computed once: never changed, so that what was published can always be explained.
create table if not exists metric_snapshots (
    id integer not null primary key autoincrement,
    client_id integer not null,
    connection_id integer not null,
    metric_key text not null check (length(metric_key) <= 190),
    -- What was computed, as one hash: table, filter, aggregation, time column, window, unit. Only like is compared with like.
    definition text not null,
    source_label text not null check (length(source_label) <= 190),
    period_kind text not null,
    period_start text not null,
    -- Exclusive.
    period_end text not null,
    unit text not null,
    -- ISO 4217; only for money.
    currency text,
    -- Null: there is nothing to tell, which is no zero.
    value text,
    rows_counted integer not null,
    complete integer not null,
    incomplete_reason text,
    -- The runs whose rows were counted, as a JSON list.
    run_ids text not null,
    -- computed from rows, or declared by a person with evidence.
    origin text not null,
    evidence text,
    computed_at text not null,
    constraint uq_metric_snapshots_client unique (id, client_id),
    constraint fk_metric_snapshots_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_metric_snapshots_complete check (complete in (0, 1)),
    constraint ck_metric_snapshots_reason check (complete = 1 or incomplete_reason is not null),
    constraint ck_metric_snapshots_period check (period_start < period_end),
    constraint ck_metric_snapshots_run_ids check (json_valid(run_ids)),
    constraint ck_metric_snapshots_origin check (origin in ('computed', 'declared'))
) strict;

create index if not exists ix_metric_snapshots_connection on metric_snapshots (connection_id, client_id);
create index if not exists ix_metric_snapshots_metric on metric_snapshots (client_id, metric_key, source_label, period_start);
