-- Human acts, kept for ever: pause, resume, replay, discard, cursor reset, activation, sign-off.
create table if not exists event_admin_actions (
    id bigint not null auto_increment,
    actor varchar(190) not null,
    action varchar(100) not null,
    subject_type varchar(100) not null,
    subject_key varchar(190) not null,
    reason text,
    `before` longtext,
    `after` longtext,
    created_at datetime(6) not null,
    primary key (id),
    constraint ck_event_admin_actions_before check (json_valid(`before`)),
    constraint ck_event_admin_actions_after check (json_valid(`after`))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
