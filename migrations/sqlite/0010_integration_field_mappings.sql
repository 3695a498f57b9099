-- Field maps as they were when first used. A version stands for one text: a changed map needs a new version.
create table if not exists integration_field_mappings (
    id integer not null primary key autoincrement,
    provider_key text not null check (length(provider_key) <= 190),
    stream text not null check (length(stream) <= 190),
    version text not null,
    checksum text not null,
    document text not null,
    activated_at text not null,
    activated_by text not null check (length(activated_by) <= 190),
    constraint uq_integration_field_mappings_version unique (provider_key, stream, version)
) strict;
