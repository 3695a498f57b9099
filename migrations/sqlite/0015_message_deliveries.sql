-- Messages that were sent to people or came from them, and what became of each. Their text is never kept here.
create table if not exists message_deliveries (
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
    direction text,
    channel text,
    delivery text,
    contact_phone text,
    contact_email text,
    template text check (length(template) <= 190),
    failure_reason text,
    opted_out integer,
    lead_external_id text check (length(lead_external_id) <= 190),
    price_amount text,
    -- ISO 4217.
    currency text,
    sent_at text,
    delivered_at text,
    replied_at text,
    constraint uq_message_deliveries_object unique (connection_id, object_type, external_id),
    constraint fk_message_deliveries_connection foreign key (connection_id, client_id) references integration_connections (id, client_id),
    constraint ck_message_deliveries_direction check (direction in ('inbound', 'outbound', 'unknown')),
    constraint ck_message_deliveries_channel check (channel in ('sms', 'email', 'chat', 'other')),
    constraint ck_message_deliveries_delivery check (delivery in ('queued', 'sent', 'delivered', 'failed', 'received', 'unknown'))
) strict;

create index if not exists ix_message_deliveries_connection on message_deliveries (connection_id, client_id);
