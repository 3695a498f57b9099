-- When somebody first answered a lead.
-- MySQL cannot roll a table back, so a step can be run again: it looks before it changes.
set @missing = (select count(*) = 0 from information_schema.columns
    where table_schema = database() and table_name = 'crm_leads' and column_name = 'first_response_at');
set @step = if(@missing, 'alter table crm_leads add column first_response_at datetime(6)', 'do 0');
prepare step from @step;
execute step;
deallocate prepare step;
