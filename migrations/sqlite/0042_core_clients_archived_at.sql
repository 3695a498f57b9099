-- Since when a client is archived: what its raw rows may be kept for begins there. Whoever is archived already begins now.
alter table core_clients add column archived_at text;
update core_clients set archived_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') where status = 'archived';
