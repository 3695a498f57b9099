-- What a client started from, in versions that only a person adds. The newest counts; none is changed.
create table if not exists metric_baselines (
    id integer not null primary key autoincrement,
    client_id integer not null,
    connection_id integer not null,
    metric_key text not null check (length(metric_key) <= 190),
    source_label text not null check (length(source_label) <= 190),
    version integer not null,
    snapshot_id integer not null,
    set_by text not null check (length(set_by) <= 190),
    reason text not null,
    created_at text not null,
    constraint uq_metric_baselines_version unique (client_id, metric_key, source_label, version),
    constraint fk_metric_baselines_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint fk_metric_baselines_snapshot foreign key (snapshot_id, client_id) references metric_snapshots (id, client_id)
) strict;

create index if not exists ix_metric_baselines_connection on metric_baselines (connection_id, client_id);
create index if not exists ix_metric_baselines_snapshot on metric_baselines (snapshot_id, client_id);
