-- The page ledger: one row for each committed page, written in the page's own transaction. It settles a COMMIT whose
-- answer was lost, tells a run's story, and is what a run's counts are recounted from (P3).
create table if not exists integration_sync_pages (
    run_id integer not null,
    page_no integer not null,
    page_hash text not null,
    requests integer not null,
    retries integer not null,
    rate_limited_ms integer not null,
    bytes_in integer not null,
    records_seen integer not null,
    records_created integer not null,
    records_updated integer not null,
    records_unchanged integer not null,
    records_duplicate integer not null,
    records_ignored integer not null,
    records_failed integer not null,
    -- The cursor that became visible with this page; null when it did not move.
    cursor_after text,
    story text not null,
    started_at text not null,
    committed_at text not null,
    primary key (run_id, page_no),
    constraint fk_integration_sync_pages_run foreign key (run_id) references integration_sync_runs (id),
    constraint ck_integration_sync_pages_counts check (records_seen = records_created + records_updated + records_unchanged + records_duplicate + records_ignored + records_failed),
    constraint ck_integration_sync_pages_cursor check (json_valid(cursor_after))
) strict;
