-- A connection has one client, so naming it in the unique key changes nothing, and the foreign key needs no index of its own.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @here = (select count(*) > 0 from information_schema.statistics
    where table_schema = database() and table_name = 'crm_lead_events' and index_name = 'ix_crm_lead_events_connection');
set @step = if(@here, 'alter table crm_lead_events drop index ix_crm_lead_events_connection, drop index uq_crm_lead_events_object, add unique index uq_crm_lead_events_object (connection_id, client_id, object_type, external_id)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
