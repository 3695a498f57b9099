-- How many records the provider said that the whole listing has, where it does.
alter table integration_sync_runs add column provider_total integer;
