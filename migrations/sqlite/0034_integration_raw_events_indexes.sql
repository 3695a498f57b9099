-- One index for a run's raw events that the foreign key can use as well, instead of two.
drop index if exists ix_integration_raw_events_connection;
drop index if exists ix_integration_raw_events_run;
create index if not exists ix_integration_raw_events_run on integration_raw_events (connection_id, client_id, run_id, status);
