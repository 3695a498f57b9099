-- The checklist before live data: each control is proved by a machine or signed by a named owner, with evidence that expires.
create table if not exists launch_controls (
    id integer not null primary key autoincrement,
    scope text not null,
    connection_id integer,
    client_id integer,
    control_key text not null,
    title text not null check (length(title) <= 190),
    kind text not null,
    owner text check (length(owner) <= 190),
    source text check (length(source) <= 190),
    -- all: for a control of the whole installation.
    environment text,
    data_boundary text,
    rollback_path text,
    review_cadence_days integer,
    -- What proves it; machine: Tidegate looked itself.
    evidence_kind text,
    evidence text,
    evidence_at text,
    signed_by text check (length(signed_by) <= 190),
    status text not null,
    status_reason text,
    checked_at text,
    -- From when on this control keeps production connections from running, if nothing is done. Null: never.
    blocks_from text,
    -- A control stands once for the whole installation, or once for each connection.
    connection_slot integer generated always as (coalesce(connection_id, 0)) stored,
    constraint uq_launch_controls_key unique (control_key, connection_slot),
    constraint fk_launch_controls_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_launch_controls_connection check ((scope = 'connection') = (connection_id is not null and client_id is not null)),
    constraint ck_launch_controls_ready check (status <> 'ready' or (owner is not null and source is not null and environment is not null and data_boundary is not null and rollback_path is not null and review_cadence_days is not null and evidence is not null and evidence_at is not null)),
    constraint ck_launch_controls_scope check (scope in ('global', 'connection')),
    constraint ck_launch_controls_kind check (kind in ('admin_task', 'sop_note', 'launch_item', 'incident_step', 'report_note')),
    constraint ck_launch_controls_environment check (environment in ('production', 'staging', 'sandbox', 'all')),
    constraint ck_launch_controls_status check (status in ('missing', 'failed', 'ready', 'review_due'))
) strict;

create index if not exists ix_launch_controls_connection on launch_controls (connection_id, client_id);
create index if not exists ix_launch_controls_blocks on launch_controls (connection_slot, blocks_from);
