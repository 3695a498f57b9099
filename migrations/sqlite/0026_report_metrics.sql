-- One number of one client under one source label: what the client sees, and why it is not newer.
create table if not exists report_metrics (
    id integer not null primary key autoincrement,
    client_id integer not null,
    connection_id integer not null,
    metric_key text not null check (length(metric_key) <= 190),
    source_label text not null check (length(source_label) <= 190),
    -- What the client reads.
    title text not null check (length(title) <= 190),
    meaning text not null,
    unit text not null,
    currency text,
    direction text not null,
    baseline_period_start text,
    baseline_period_end text,
    baseline_value text,
    baseline_snapshot_id integer,
    current_period_start text,
    current_period_end text,
    -- As the client reads it, in the dates of the metric's own zone.
    current_period_text text,
    current_value text,
    current_snapshot_id integer,
    -- How the last attempt to publish ended: held leaves everything that the client sees as it was.
    status text not null,
    held_reason text,
    -- What the client sees; only a publication writes it.
    published_status text,
    -- In percent.
    confidence integer,
    next_action text,
    client_note text,
    approval_state text not null,
    approved_by text check (length(approved_by) <= 190),
    approved_at text,
    -- The snapshot that waits for approval.
    pending_snapshot_id integer,
    attempted_at text not null,
    published_at text,
    constraint uq_report_metrics_metric unique (client_id, metric_key, source_label),
    constraint fk_report_metrics_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint fk_report_metrics_baseline foreign key (baseline_snapshot_id, client_id) references metric_snapshots (id, client_id),
    constraint fk_report_metrics_current foreign key (current_snapshot_id, client_id) references metric_snapshots (id, client_id),
    constraint fk_report_metrics_pending foreign key (pending_snapshot_id, client_id) references metric_snapshots (id, client_id),
    constraint ck_report_metrics_held check ((status = 'held') = (held_reason is not null)),
    constraint ck_report_metrics_published check (published_at is null or (published_status is not null and current_snapshot_id is not null)),
    constraint ck_report_metrics_direction check (direction in ('higher_is_better', 'lower_is_better', 'neutral')),
    constraint ck_report_metrics_status check (status in ('improved', 'declined', 'steady', 'no_baseline', 'held')),
    constraint ck_report_metrics_published_status check (published_status in ('improved', 'declined', 'steady', 'no_baseline')),
    constraint ck_report_metrics_approval_state check (approval_state in ('draft', 'approved'))
) strict;

create index if not exists ix_report_metrics_connection on report_metrics (connection_id, client_id);
create index if not exists ix_report_metrics_baseline on report_metrics (baseline_snapshot_id, client_id);
create index if not exists ix_report_metrics_current on report_metrics (current_snapshot_id, client_id);
create index if not exists ix_report_metrics_pending on report_metrics (pending_snapshot_id, client_id);
