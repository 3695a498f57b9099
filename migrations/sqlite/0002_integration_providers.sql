-- A provider is a system that clients use, e.g. a CRM. The row is made from the connector's folder; an operator adds
-- who owns it and may switch it off for everybody at once.
create table if not exists integration_providers (
    id integer not null primary key autoincrement,
    provider_key text not null check (length(provider_key) <= 190),
    name text not null check (length(name) <= 190),
    category text not null,
    auth_type text not null,
    status text not null,
    owner text check (length(owner) <= 190),
    reason text,
    constraint uq_integration_providers_key unique (provider_key),
    constraint ck_integration_providers_status check (status in ('active', 'disabled'))
) strict;
