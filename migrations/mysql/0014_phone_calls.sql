-- Calls, answered or missed. Recordings and transcripts are never kept here.
create table if not exists phone_calls (
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
    direction varchar(40),
    outcome varchar(40),
    -- E.164.
    from_phone varchar(32),
    to_phone varchar(32),
    duration_seconds bigint,
    tracking_source varchar(100),
    paid_or_organic varchar(40),
    lead_external_id varchar(190),
    occurred_at datetime(6),
    answered_at datetime(6),
    primary key (id),
    unique key uq_phone_calls_object (connection_id, client_id, object_type, external_id),
    constraint fk_phone_calls_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_phone_calls_direction check (direction in ('inbound', 'outbound', 'unknown')),
    constraint ck_phone_calls_outcome check (outcome in ('answered', 'missed', 'voicemail', 'abandoned', 'unknown')),
    constraint ck_phone_calls_paid_or_organic check (paid_or_organic in ('paid', 'organic', 'unknown'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
