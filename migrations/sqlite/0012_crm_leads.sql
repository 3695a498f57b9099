-- People and companies that asked for work.
create table if not exists crm_leads (
    id integer not null primary key autoincrement,
    client_id integer not null,
    connection_id integer not null,
    provider_key text not null check (length(provider_key) <= 190),
    source_label text not null check (length(source_label) <= 190),
    object_type text not null,
    external_id text not null check (length(external_id) <= 190),
    first_run_id integer not null,
    last_run_id integer not null,
    source_updated_at text,
    -- Set when a run is taken back; reports leave such rows out.
    voided_at text,
    is_test integer not null default 0,
    contact_name text,
    email text,
    -- E.164.
    phone text,
    service_type text,
    contact_method text,
    consent text,
    market text,
    urgency text,
    owner text,
    attribution_source text,
    paid_or_organic text,
    stage text,
    received_at text,
    constraint uq_crm_leads_object unique (connection_id, object_type, external_id),
    constraint fk_crm_leads_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_crm_leads_consent check (consent in ('granted', 'denied', 'unknown')),
    constraint ck_crm_leads_paid_or_organic check (paid_or_organic in ('paid', 'organic', 'unknown'))
) strict;

create index if not exists ix_crm_leads_connection on crm_leads (connection_id, client_id);
