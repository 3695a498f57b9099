-- Files that people brought: one row for each attempt to import one.
create table if not exists data_import_batches (
    id bigint not null auto_increment,
    connection_id bigint not null,
    client_id bigint not null,
    stream varchar(190) not null,
    -- Without its folder.
    file_name varchar(190) not null,
    -- SHA-256 of the content, decompressed.
    file_hash char(64) character set ascii collate ascii_bin not null,
    file_bytes bigint not null,
    -- What the file is called as a source: the connection's label with an addition, never another source's.
    source_label varchar(190) not null,
    -- What the run has seen; written with its end.
    rows_read bigint not null default 0,
    run_id bigint not null,
    status varchar(40) not null,
    imported_by varchar(190) not null,
    created_at datetime(6) not null,
    finished_at datetime(6),
    primary key (id),
    unique key uq_data_import_batches_run (run_id),
    key ix_data_import_batches_file (connection_id, client_id, stream, file_hash),
    constraint fk_data_import_batches_run foreign key (run_id) references integration_sync_runs (id),
    constraint fk_data_import_batches_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_data_import_batches_status check (status in ('running', 'completed', 'partial', 'failed', 'abandoned')),
    constraint ck_data_import_batches_finished check ((status = 'running') = (finished_at is null)),
    constraint ck_data_import_batches_label check (source_label <> '')
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
