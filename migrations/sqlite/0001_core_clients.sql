-- A client is the company that a row belongs to. Rows never take their client from a payload: they take it from their
-- connection, and the pair (connection, client) is what later tables point at (P15).
create table if not exists core_clients (
    id integer not null primary key autoincrement,
    client_key text not null check (length(client_key) <= 190),
    name text not null check (length(name) <= 190),
    status text not null,
    constraint uq_core_clients_key unique (client_key),
    constraint ck_core_clients_status check (status in ('active', 'archived'))
) strict;
