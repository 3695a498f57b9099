-- What is old is found by its age, and what refers to a row by its id.
create index if not exists ix_integration_raw_events_age on integration_raw_events (received_at);
create index if not exists ix_integration_object_links_raw on integration_object_links (raw_event_id);
create index if not exists ix_integration_object_links_last_run on integration_object_links (last_run_id);
create index if not exists ix_integration_sync_errors_raw on integration_sync_errors (raw_event_id);
create index if not exists ix_integration_sync_errors_age on integration_sync_errors (resolved_at);
create index if not exists ix_integration_sync_runs_age on integration_sync_runs (finished_at);
create index if not exists ix_data_quality_checks_age on data_quality_checks (checked_at);
create index if not exists ix_event_webhook_events_age on event_webhook_events (received_at);
