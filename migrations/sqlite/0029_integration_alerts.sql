-- What somebody has to look at, once for as long as it lasts.
create table if not exists integration_alerts (
    id integer not null primary key autoincrement,
    rule_key text not null,
    severity text not null,
    subject_type text not null,
    subject_key text not null check (length(subject_key) <= 190),
    connection_id integer,
    client_id integer,
    owner text check (length(owner) <= 190),
    message_internal text not null,
    message_client_safe text not null,
    remedy text not null,
    first_seen_at text not null,
    last_seen_at text not null,
    -- When the webhook was told last, and how often in vain since then.
    notified_at text,
    notify_failures integer not null default 0,
    resolved_at text,
    -- 1 while it lasts, otherwise null, which a unique key does not compare.
    open_slot integer generated always as (case when resolved_at is null then 1 end) stored,
    constraint uq_integration_alerts_open unique (rule_key, subject_type, subject_key, open_slot),
    constraint fk_integration_alerts_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_alerts_severity check (severity in ('error', 'warn'))
) strict;

create index if not exists ix_integration_alerts_connection on integration_alerts (connection_id, client_id);
create index if not exists ix_integration_alerts_open on integration_alerts (open_slot, rule_key);
