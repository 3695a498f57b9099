-- How many records the provider said that the whole listing has, where it does.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'integration_sync_runs' and column_name = 'provider_total');
set @step = if(@missing, 'alter table integration_sync_runs add column provider_total bigint', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
