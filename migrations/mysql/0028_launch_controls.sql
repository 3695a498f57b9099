-- The checklist before live data: each control is proved by a machine or signed by a named owner, with evidence that expires.
create table if not exists launch_controls (
    id bigint not null auto_increment,
    scope varchar(40) not null,
    connection_id bigint,
    client_id bigint,
    control_key varchar(100) not null,
    title varchar(190) not null,
    kind varchar(40) not null,
    owner varchar(190),
    source varchar(190),
    -- all: for a control of the whole installation.
    environment varchar(40),
    data_boundary text,
    rollback_path text,
    review_cadence_days bigint,
    -- What proves it; machine: Tidegate looked itself.
    evidence_kind varchar(60),
    evidence text,
    evidence_at datetime(6),
    signed_by varchar(190),
    status varchar(40) not null,
    status_reason text,
    checked_at datetime(6),
    -- From when on this control keeps production connections from running, if nothing is done. Null: never.
    blocks_from datetime(6),
    -- A control stands once for the whole installation, or once for each connection.
    connection_slot bigint generated always as (coalesce(connection_id, 0)) stored,
    primary key (id),
    unique key uq_launch_controls_key (control_key, connection_slot),
    key ix_launch_controls_connection (connection_id, client_id),
    key ix_launch_controls_blocks (connection_slot, blocks_from),
    constraint fk_launch_controls_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_launch_controls_connection check ((scope = 'connection') = (connection_id is not null and client_id is not null)),
    constraint ck_launch_controls_ready check (status <> 'ready' or (owner is not null and source is not null and environment is not null and data_boundary is not null and rollback_path is not null and review_cadence_days is not null and evidence is not null and evidence_at is not null)),
    constraint ck_launch_controls_scope check (scope in ('global', 'connection')),
    constraint ck_launch_controls_kind check (kind in ('admin_task', 'sop_note', 'launch_item', 'incident_step', 'report_note')),
    constraint ck_launch_controls_environment check (environment in ('production', 'staging', 'sandbox', 'all')),
    constraint ck_launch_controls_status check (status in ('missing', 'failed', 'ready', 'review_due'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
