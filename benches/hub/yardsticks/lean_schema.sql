-- The same duty in tables made for it: keys in the order of insertion, and no index or foreign key that no query needs.
create table numbers (
    phone_number text primary key,
    workspace_id bigint not null
);
create table contacts (
    id           bigint generated always as identity primary key,
    workspace_id bigint not null,
    phone_number text not null,
    name         text,
    unread_count int not null default 0,
    updated_at   timestamptz not null default now(),
    unique (workspace_id, phone_number)
) with (fillfactor = 70);
create table messages (
    id           bigint generated always as identity primary key,
    workspace_id bigint not null,
    contact_id   bigint not null references contacts,
    direction    smallint not null,
    status       smallint not null,
    created_at   timestamptz not null default now(),
    content      text not null,
    provider_sid text not null unique
);
create index on messages (contact_id, id);

insert into numbers select '+1651555' || lpad(n::text, 4, '0'), n / 5 from generate_series(0, 49) n;
create table known_contacts as
    select (i % 50) / 5 as workspace_id, '+1415555' || lpad(i::text, 4, '0') as phone_number from generate_series(0, 9999) i;
