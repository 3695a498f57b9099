-- Files that people brought: one row for each attempt to import one.
create table if not exists data_import_batches (
    id integer not null primary key autoincrement,
    connection_id integer not null,
    client_id integer not null,
    stream text not null check (length(stream) <= 190),
    -- Without its folder.
    file_name text not null check (length(file_name) <= 190),
    -- SHA-256 of the content, decompressed.
    file_hash text not null check (length(file_hash) <= 64),
    file_bytes integer not null,
    -- What the file is called as a source: the connection's label with an addition, never another source's.
    source_label text not null check (length(source_label) <= 190),
    -- What the run has seen; written with its end.
    rows_read integer not null default 0,
    run_id integer not null,
    status text not null,
    imported_by text not null check (length(imported_by) <= 190),
    created_at text not null,
    finished_at text,
    constraint uq_data_import_batches_run unique (run_id),
    constraint fk_data_import_batches_run foreign key (run_id) references integration_sync_runs (id),
    constraint fk_data_import_batches_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_data_import_batches_status check (status in ('running', 'completed', 'partial', 'failed', 'abandoned')),
    constraint ck_data_import_batches_finished check ((status = 'running') = (finished_at is null)),
    constraint ck_data_import_batches_label check (source_label <> '')
) strict;

create index if not exists ix_data_import_batches_file on data_import_batches (connection_id, client_id, stream, file_hash);
