-- What somebody has to look at, once for as long as it lasts.
create table if not exists integration_alerts (
    id bigint not null auto_increment,
    rule_key varchar(100) not null,
    severity varchar(40) not null,
    subject_type varchar(100) not null,
    -- Holds a connection's key and a stream's name with a sign between.
    subject_key varchar(390) not null,
    connection_id bigint,
    client_id bigint,
    owner varchar(190),
    message_internal text not null,
    message_client_safe text not null,
    remedy text not null,
    runbook varchar(190) not null,
    -- Since when it is so, as far as rows tell; otherwise when it was first seen.
    first_seen_at datetime(6) not null,
    last_seen_at datetime(6) not null,
    -- When it had lasted long enough to be told; null: it is only being watched.
    opened_at datetime(6),
    resolved_at datetime(6),
    -- When it was told last: opened, reminded or resolved. A reminder waits for the rule's silence from here.
    told_at datetime(6),
    -- What the webhook still has to tell, and not before when: whoever moves that time on is the one who tells.
    notice varchar(40),
    notify_after datetime(6),
    -- When the webhook took a notice last, and how often it was asked in vain since then.
    notified_at datetime(6),
    notify_failures bigint not null default 0,
    -- 1 while it lasts, otherwise null, which a unique key does not compare.
    open_slot tinyint(1) generated always as (case when resolved_at is null then 1 end) stored,
    primary key (id),
    unique key uq_integration_alerts_open (rule_key, subject_type, subject_key, open_slot),
    key ix_integration_alerts_connection (connection_id, client_id),
    key ix_integration_alerts_open (open_slot, rule_key),
    key ix_integration_alerts_notice (notice, notify_after),
    constraint fk_integration_alerts_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_alerts_connection check ((connection_id is null) = (client_id is null)),
    constraint ck_integration_alerts_severity check (severity in ('error', 'warn')),
    constraint ck_integration_alerts_told check (opened_at is null or told_at is not null),
    constraint ck_integration_alerts_due check ((notice is null) = (notify_after is null)),
    constraint ck_integration_alerts_notice check (notice in ('opened', 'reminded', 'resolved'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
