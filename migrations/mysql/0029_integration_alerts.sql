-- What somebody has to look at, once for as long as it lasts.
create table if not exists integration_alerts (
    id bigint not null auto_increment,
    rule_key varchar(100) not null,
    severity varchar(40) not null,
    subject_type varchar(100) not null,
    subject_key varchar(190) not null,
    connection_id bigint,
    client_id bigint,
    owner varchar(190),
    message_internal text not null,
    message_client_safe text not null,
    remedy text not null,
    first_seen_at datetime(6) not null,
    last_seen_at datetime(6) not null,
    -- When the webhook was told last, and how often in vain since then.
    notified_at datetime(6),
    notify_failures bigint not null default 0,
    resolved_at datetime(6),
    -- 1 while it lasts, otherwise null, which a unique key does not compare.
    open_slot tinyint(1) generated always as (case when resolved_at is null then 1 end) stored,
    primary key (id),
    unique key uq_integration_alerts_open (rule_key, subject_type, subject_key, open_slot),
    key ix_integration_alerts_connection (connection_id, client_id),
    key ix_integration_alerts_open (open_slot, rule_key),
    constraint fk_integration_alerts_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_alerts_severity check (severity in ('error', 'warn'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
