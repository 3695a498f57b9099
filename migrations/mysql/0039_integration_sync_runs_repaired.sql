-- Records that a poll had to bring although deliveries feed their stream, and what is needed to tell: since when an endpoint works, and
-- the deliveries of one object (by an index that the foreign key can use as well, instead of two).
-- MySQL cannot roll a table back, so a step can be run again: it looks before each change.
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'integration_sync_runs' and column_name = 'records_repaired');
set @step = if(@missing, 'alter table integration_sync_runs add column records_repaired bigint not null default 0', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'integration_webhook_endpoints' and column_name = 'first_verified_at');
set @step = if(@missing, 'alter table integration_webhook_endpoints add column first_verified_at datetime(6)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @here = (select count(*) > 0 from information_schema.statistics
    where table_schema = database() and table_name = 'event_webhook_events' and index_name = 'ix_event_webhook_events_connection');
set @step = if(@here, 'alter table event_webhook_events add index ix_event_webhook_events_object (connection_id, client_id, external_id, received_at), drop index ix_event_webhook_events_connection', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
