-- The page ledger: one row for each committed page, written in the page's own transaction. It settles a COMMIT whose
-- answer was lost, tells a run's story, and is what a run's counts are recounted from (P3).
create table if not exists integration_sync_pages (
    run_id bigint not null,
    page_no bigint not null,
    page_hash varchar(64) not null,
    requests bigint not null,
    retries bigint not null,
    rate_limited_ms bigint not null,
    bytes_in bigint not null,
    records_seen bigint not null,
    records_created bigint not null,
    records_updated bigint not null,
    records_unchanged bigint not null,
    records_duplicate bigint not null,
    records_ignored bigint not null,
    records_failed bigint not null,
    -- The cursor that became visible with this page; null when it did not move.
    cursor_after longtext,
    story text not null,
    started_at datetime(6) not null,
    committed_at datetime(6) not null,
    primary key (run_id, page_no),
    constraint fk_integration_sync_pages_run foreign key (run_id) references integration_sync_runs (id),
    constraint ck_integration_sync_pages_counts check (records_seen = records_created + records_updated + records_unchanged + records_duplicate + records_ignored + records_failed),
    constraint ck_integration_sync_pages_cursor check (json_valid(cursor_after))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
