-- People and companies that asked for work.
create table if not exists crm_leads (
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
    contact_name varchar(200),
    email varchar(320),
    -- E.164.
    phone varchar(32),
    service_type varchar(100),
    contact_method varchar(40),
    consent varchar(40),
    market varchar(100),
    urgency varchar(40),
    owner varchar(200),
    attribution_source varchar(100),
    paid_or_organic varchar(40),
    stage varchar(60),
    received_at datetime(6),
    -- When somebody first answered.
    first_response_at datetime(6),
    primary key (id),
    -- A connection has one client, so naming it changes nothing; the foreign key needs no index of its own.
    unique key uq_crm_leads_object (connection_id, client_id, object_type, external_id),
    constraint fk_crm_leads_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_crm_leads_consent check (consent in ('granted', 'denied', 'unknown')),
    constraint ck_crm_leads_paid_or_organic check (paid_or_organic in ('paid', 'organic', 'unknown'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
