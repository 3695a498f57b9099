-- What a client started from, in versions that only a person adds. The newest counts; none is changed.
create table if not exists metric_baselines (
    id bigint not null auto_increment,
    client_id bigint not null,
    connection_id bigint not null,
    metric_key varchar(190) not null,
    source_label varchar(190) not null,
    version bigint not null,
    snapshot_id bigint not null,
    set_by varchar(190) not null,
    reason text not null,
    created_at datetime(6) not null,
    primary key (id),
    unique key uq_metric_baselines_version (client_id, metric_key, source_label, version),
    key ix_metric_baselines_connection (connection_id, client_id),
    key ix_metric_baselines_snapshot (snapshot_id, client_id),
    constraint fk_metric_baselines_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint fk_metric_baselines_snapshot foreign key (snapshot_id, client_id) references metric_snapshots (id, client_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
