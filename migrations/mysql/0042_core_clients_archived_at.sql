-- Since when a client is archived: what its raw rows may be kept for begins there. Whoever is archived already begins now.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'core_clients' and column_name = 'archived_at');
set @step = if(@missing, 'alter table core_clients add column archived_at datetime(6)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
update core_clients set archived_at = utc_timestamp(6) where status = 'archived' and archived_at is null;
