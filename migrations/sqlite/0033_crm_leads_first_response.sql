-- When somebody first answered a lead.
alter table crm_leads add column first_response_at text;
