-- Field maps as they were when first used. A version stands for one text: a changed map needs a new version.
create table if not exists integration_field_mappings (
    id bigint not null auto_increment,
    provider_key varchar(190) not null,
    stream varchar(190) not null,
    version varchar(100) not null,
    checksum char(64) character set ascii collate ascii_bin not null,
    document longtext not null,
    activated_at datetime(6) not null,
    activated_by varchar(190) not null,
    primary key (id),
    unique key uq_integration_field_mappings_version (provider_key, stream, version)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
