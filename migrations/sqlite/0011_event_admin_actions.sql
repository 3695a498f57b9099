-- Human acts, kept for ever: pause, resume, replay, discard, cursor reset, activation, sign-off.
create table if not exists event_admin_actions (
    id integer not null primary key autoincrement,
    actor text not null check (length(actor) <= 190),
    action text not null,
    subject_type text not null,
    subject_key text not null check (length(subject_key) <= 190),
    reason text,
    `before` text,
    `after` text,
    created_at text not null,
    constraint ck_event_admin_actions_before check (json_valid(`before`)),
    constraint ck_event_admin_actions_after check (json_valid(`after`))
) strict;
