-- What is old is found by its age, and what refers to a row by its id.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_raw_events' and index_name = 'ix_integration_raw_events_age');
set @step = if(@missing, 'create index ix_integration_raw_events_age on integration_raw_events (received_at)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_object_links' and index_name = 'ix_integration_object_links_raw');
set @step = if(@missing, 'create index ix_integration_object_links_raw on integration_object_links (raw_event_id)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_object_links' and index_name = 'ix_integration_object_links_last_run');
set @step = if(@missing, 'create index ix_integration_object_links_last_run on integration_object_links (last_run_id)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_sync_errors' and index_name = 'ix_integration_sync_errors_raw');
set @step = if(@missing, 'create index ix_integration_sync_errors_raw on integration_sync_errors (raw_event_id)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_sync_errors' and index_name = 'ix_integration_sync_errors_age');
set @step = if(@missing, 'create index ix_integration_sync_errors_age on integration_sync_errors (resolved_at)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'integration_sync_runs' and index_name = 'ix_integration_sync_runs_age');
set @step = if(@missing, 'create index ix_integration_sync_runs_age on integration_sync_runs (finished_at)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'data_quality_checks' and index_name = 'ix_data_quality_checks_age');
set @step = if(@missing, 'create index ix_data_quality_checks_age on data_quality_checks (checked_at)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
set @missing = (select count(*) = 0 from information_schema.statistics
    where table_schema = database() and table_name = 'event_webhook_events' and index_name = 'ix_event_webhook_events_age');
set @step = if(@missing, 'create index ix_event_webhook_events_age on event_webhook_events (received_at)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
