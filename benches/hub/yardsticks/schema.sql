-- The yardstick's tables: an inbox as it is commonly designed, with uuid keys and five indexes on messages. No triggers.
create table workspaces (
    id         uuid primary key default gen_random_uuid(),
    name       text not null,
    created_at timestamptz default now()
);
create table twilio_numbers (
    id           uuid primary key default gen_random_uuid(),
    workspace_id uuid not null references workspaces on delete cascade,
    phone_number text not null,
    created_at   timestamptz default now()
);
create index on twilio_numbers (workspace_id);
create index on twilio_numbers (phone_number);
create table contacts (
    id           uuid primary key default gen_random_uuid(),
    phone_number text not null,
    workspace_id uuid not null references workspaces on delete cascade,
    name         text,
    email        text,
    conversation_status text default 'Open',
    unread_count integer default 0,
    created_at   timestamptz default now(),
    updated_at   timestamptz default now(),
    unique (phone_number, workspace_id)
);
create table messages (
    id           uuid primary key default gen_random_uuid(),
    workspace_id uuid not null references workspaces on delete cascade,
    contact_id   uuid not null references contacts on delete cascade,
    content      text not null,
    direction    text,
    message_type text,
    sentiment    float check (sentiment >= -1 and sentiment <= 1),
    media_url    text,
    media_type   text,
    twilio_sid   text,
    status       text default 'pending' check (status in ('pending', 'sent', 'delivered', 'failed')),
    created_at   timestamptz default now(),
    updated_at   timestamptz default now(),
    created_by   uuid
);
create index on messages (contact_id);
create index on messages (workspace_id);
create index on messages (created_at desc);
create unique index on messages (twilio_sid) where twilio_sid is not null; -- providers repeat their calls

-- Ten workspaces with five numbers each, and 10,000 contacts; contact i writes to number i % 50.
insert into workspaces (id, name)
select md5('ws' || w)::uuid, 'Workspace ' || w from generate_series(0, 9) w;
insert into twilio_numbers (workspace_id, phone_number)
select md5('ws' || n / 5)::uuid, '+1651555' || lpad(n::text, 4, '0') from generate_series(0, 49) n;
create table known_contacts as
    select md5('contact' || i)::uuid as id, '+1415555' || lpad(i::text, 4, '0') as phone_number,
           md5('ws' || (i % 50) / 5)::uuid as workspace_id, 'Unknown (+1415555' || lpad(i::text, 4, '0') || ')' as name
      from generate_series(0, 9999) i;
