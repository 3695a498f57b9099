-- The account that the provider itself reported for our credential, and when it was asked.
alter table integration_connections add column identity_account_id text;
alter table integration_connections add column identity_checked_at text;
