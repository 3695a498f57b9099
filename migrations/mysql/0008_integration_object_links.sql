-- The proof that a record exists: which object of a provider is which row of ours, with the payload it was last written
-- from. Every write of a record goes through its link.
create table if not exists integration_object_links (
    id bigint not null auto_increment,
    connection_id bigint not null,
    client_id bigint not null,
    object_type varchar(100) not null,
    external_id varchar(190) not null,
    internal_table varchar(64) not null,
    internal_id bigint not null,
    payload_hash char(64) character set ascii collate ascii_bin not null,
    -- The mapped row's fingerprint: a replay through another field map compares it.
    record_hash char(64) character set ascii collate ascii_bin not null,
    -- The latest raw event of the object; it may be gone by its retention.
    raw_event_id bigint,
    source_updated_at datetime(6),
    first_run_id bigint not null,
    last_run_id bigint not null,
    is_test tinyint(1) not null default 0,
    mapping_version varchar(100),
    primary key (id),
    unique key uq_integration_object_links_object (connection_id, object_type, external_id),
    key ix_integration_object_links_connection (connection_id, client_id),
    key ix_integration_object_links_first_run (first_run_id),
    constraint fk_integration_object_links_connection foreign key (connection_id, client_id) references integration_connections (id, client_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
