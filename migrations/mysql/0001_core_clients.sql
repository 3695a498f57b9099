-- A client is the company that a row belongs to. Rows never take their client from a payload: they take it from their
-- connection, and the pair (connection, client) is what later tables point at (P15).
create table if not exists core_clients (
    id bigint not null auto_increment,
    client_key varchar(190) not null,
    name varchar(190) not null,
    status varchar(40) not null,
    primary key (id),
    unique key uq_core_clients_key (client_key),
    constraint ck_core_clients_status check (status in ('active', 'archived'))
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
