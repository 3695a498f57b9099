-- One index for a run's raw events that the foreign key can use as well, instead of two.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @here = (select count(*) > 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_raw_events' and index_name = 'ix_integration_raw_events_connection');
set @step = if(@here, 'alter table integration_raw_events drop index ix_integration_raw_events_connection, drop index ix_integration_raw_events_run, add index ix_integration_raw_events_run (connection_id, client_id, run_id, status)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
