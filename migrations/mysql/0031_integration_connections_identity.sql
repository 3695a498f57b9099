-- The account that the provider itself reported for our credential, and when it was asked.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'integration_connections' and column_name = 'identity_checked_at');
set @step = if(@missing, 'alter table integration_connections add column identity_account_id varchar(190), add column identity_checked_at datetime(6)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
