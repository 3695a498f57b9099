-- Reviews by customers. Their text is not kept here.
create table if not exists reviews (
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
    rating decimal(18, 4),
    reviewer_name varchar(200),
    replied tinyint(1),
    location varchar(200),
    reviewed_at datetime(6),
    replied_at datetime(6),
    primary key (id),
    unique key uq_reviews_object (connection_id, client_id, object_type, external_id),
    constraint fk_reviews_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
