-- Retries that are made by themselves, with bounds: how many were made, and an index for what is due. Who has used them up still waits for
-- somebody, so it keeps the place of the one open row of its item.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'integration_sync_errors' and column_name = 'retries');
set @step = if(@missing, 'alter table integration_sync_errors add column retries bigint not null default 0, modify column open_slot tinyint(1) generated always as (case when status in (''open'', ''retry_scheduled'', ''exhausted'') then 1 end) stored, add index ix_integration_sync_errors_due (status, next_retry_at)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
