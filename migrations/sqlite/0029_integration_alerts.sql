-- What somebody has to look at, once for as long as it lasts.
create table if not exists integration_alerts (
    id integer not null primary key autoincrement,
    rule_key text not null check (length(rule_key) <= 100),
    severity text not null,
    subject_type text not null,
    -- Holds a connection's key and a stream's name with a sign between.
    subject_key text not null check (length(subject_key) <= 390),
    connection_id integer,
    client_id integer,
    owner text check (length(owner) <= 190),
    message_internal text not null,
    message_client_safe text not null,
    remedy text not null,
    runbook text not null check (length(runbook) <= 190),
    -- Since when it is so, as far as rows tell; otherwise when it was first seen.
    first_seen_at text not null,
    last_seen_at text not null,
    -- When it had lasted long enough to be told; null: it is only being watched.
    opened_at text,
    resolved_at text,
    -- When it was told last: opened, reminded or resolved. A reminder waits for the rule's silence from here.
    told_at text,
    -- What the webhook still has to tell, and not before when: whoever moves that time on is the one who tells.
    notice text,
    notify_after text,
    -- When the webhook took a notice last, and how often it was asked in vain since then.
    notified_at text,
    notify_failures integer not null default 0,
    -- 1 while it lasts, otherwise null, which a unique key does not compare.
    open_slot integer generated always as (case when resolved_at is null then 1 end) stored,
    constraint uq_integration_alerts_open unique (rule_key, subject_type, subject_key, open_slot),
    constraint fk_integration_alerts_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_integration_alerts_connection check ((connection_id is null) = (client_id is null)),
    constraint ck_integration_alerts_severity check (severity in ('error', 'warn')),
    constraint ck_integration_alerts_told check (opened_at is null or told_at is not null),
    constraint ck_integration_alerts_due check ((notice is null) = (notify_after is null)),
    constraint ck_integration_alerts_notice check (notice in ('opened', 'reminded', 'resolved'))
) strict;

create index if not exists ix_integration_alerts_connection on integration_alerts (connection_id, client_id);
create index if not exists ix_integration_alerts_open on integration_alerts (open_slot, rule_key);
create index if not exists ix_integration_alerts_notice on integration_alerts (notice, notify_after);
