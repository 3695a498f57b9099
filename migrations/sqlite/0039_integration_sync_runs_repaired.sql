-- Records that a poll had to bring although deliveries feed their stream, and what is needed to tell: since when an endpoint works, and
-- the deliveries of one object (by an index that the foreign key can use as well, instead of two).
alter table integration_sync_runs add column records_repaired integer not null default 0;
alter table integration_webhook_endpoints add column first_verified_at text;
drop index if exists ix_event_webhook_events_connection;
create index if not exists ix_event_webhook_events_object on event_webhook_events (connection_id, client_id, external_id, received_at);
