-- What happened to a lead: deals, stage movements. Projected and booked values are never one column.
create table if not exists crm_lead_events (
    id bigint not null auto_increment,
    client_id bigint not null,
    connection_id bigint not null,
    provider_key varchar(190) not null,
    source_label varchar(190) not null,
    object_type varchar(100) not null,
    external_id varchar(190) not null,
    first_run_id bigint not null,
    last_run_id bigint not null,
    source_updated_at datetime(6),
    -- Set when a run is taken back; reports leave such rows out.
    voided_at datetime(6),
    is_test tinyint(1) not null default 0,
    lead_external_id varchar(190),
    event_type varchar(60),
    title varchar(300),
    stage varchar(60),
    pipeline varchar(100),
    owner varchar(200),
    projected_amount decimal(18, 4),
    booked_amount decimal(18, 4),
    -- ISO 4217.
    currency varchar(3),
    occurred_at datetime(6),
    closed_at datetime(6),
    primary key (id),
    unique key uq_crm_lead_events_object (connection_id, object_type, external_id),
    key ix_crm_lead_events_connection (connection_id, client_id),
    constraint fk_crm_lead_events_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
