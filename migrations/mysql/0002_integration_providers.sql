-- A provider is a system that clients use, e.g. a CRM. The row is made from the connector's folder; an operator adds
-- who owns it and may switch it off for everybody at once.
create table if not exists integration_providers (
    id bigint not null auto_increment,
    provider_key varchar(190) not null,
    name varchar(190) not null,
    category varchar(100) not null,
    auth_type varchar(40) not null,
    status varchar(40) not null,
    owner varchar(190),
    reason text,
    primary key (id),
    unique key uq_integration_providers_key (provider_key),
    constraint ck_integration_providers_status check (status in ('active', 'disabled'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
