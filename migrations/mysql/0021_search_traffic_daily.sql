-- Visits from search, a row for each day and dimension that the provider tells.
create table if not exists search_traffic_daily (
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
    site varchar(320),
    page varchar(700),
    query varchar(320),
    country varchar(40),
    device varchar(40),
    clicks bigint,
    impressions bigint,
    position decimal(18, 4),
    measured_at datetime(6),
    primary key (id),
    unique key uq_search_traffic_daily_object (connection_id, client_id, object_type, external_id),
    constraint fk_search_traffic_daily_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
