-- Contacts, what passes between one contact and one number, and every single text.

create table contacts (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    phone_number text not null check (is_address(phone_number)), -- E.164, or what else a text comes from
    name         text check (length(name) between 1 and 120),
    email        text check (length(email) <= 254),
    notes        text not null default '' check (length(notes) <= 5000),
    created_by   uuid references users on delete set null,       -- null: they wrote first
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint contacts_phone_number_key unique (workspace_id, phone_number)
);

create table conversations (
    workspace_id  uuid not null default current_workspace() references workspaces on delete cascade,
    id            uuid not null,
    contact_id    uuid not null,
    number_id     uuid not null,
    status        text not null default 'open' check (status in ('open', 'pending', 'snoozed', 'done')),
    assignee_id   uuid,
    snoozed_until timestamptz,
    unread_count  integer not null default 0 check (unread_count >= 0),
    -- The list pane is one index scan whatever the volume: what a row shows of its newest text stands here.
    last_message_at        timestamptz not null default now(),
    last_message_preview   text not null default '',
    last_message_direction text not null default 'inbound' check (last_message_direction in ('inbound', 'outbound')),
    last_message_status    text not null default 'received',
    last_message_id        uuid,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade,
    foreign key (workspace_id, assignee_id) references workspace_members on delete set null (assignee_id),
    constraint conversations_of_pair unique (workspace_id, contact_id, number_id),
    -- A text names its conversation, contact and number by one key, so they cannot disagree.
    constraint conversations_whole unique (workspace_id, id, contact_id, number_id)
);
create index conversations_newest on conversations (workspace_id, status, last_message_at desc, id desc); -- list pane
create index conversations_of_assignee on conversations (workspace_id, assignee_id, status, last_message_at desc, id desc)
    where assignee_id is not null;                                                                        -- "Mine", and its count

-- Who said STOP to which number. Nothing is sent to them from there.
create table opt_outs (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    contact_id   uuid not null,
    number_id    uuid not null,
    source       text not null check (source in ('text', 'provider', 'agent', 'import')),
    proof        text not null default '',           -- their words, or the provider's code
    created_at   timestamptz not null default now(),
    primary key (workspace_id, contact_id, number_id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);

-- How far a status has come. It only ever rises; of two that rank alike the first stays.
create function status_rank(status text) returns smallint
    language sql immutable strict parallel safe
    return case status
        when 'scheduled' then 0 when 'queued' then 1 when 'sending' then 2 when 'unconfirmed' then 2
        when 'sent' then 3 else 4 end;
grant execute on function status_rank(text) to messagehub_people, messagehub_system;

create table messages (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null,                   -- UUIDv7: sorting by it is sorting by time
    conversation_id uuid not null,
    contact_id      uuid not null,
    number_id       uuid not null,
    integration_id  uuid not null,
    direction       text not null check (direction in ('inbound', 'outbound', 'note')),
    content         text not null default '',
    message_type    text not null default 'text' check (message_type in ('text', 'media')),
    status          text not null check (status in ('scheduled', 'queued', 'sending', 'unconfirmed', 'sent', 'delivered',
                                                    'undelivered', 'failed', 'canceled', 'received')),
    provider        text not null,
    provider_sid    text,
    provider_status text,                            -- the provider's own word, as it came
    error_code      text,
    error_message   text,                            -- a sentence a person understands
    segments        smallint check (segments > 0),
    price           numeric,
    price_unit      text,
    sentiment       text check (sentiment in ('positive', 'neutral', 'negative')),
    created_by      uuid references users on delete set null,
    scheduled_at    timestamptz,
    -- A repeated request finds the first one's answer instead of sending twice.
    idempotency_key text check (length(idempotency_key) between 1 and 255),
    request_hash    bytea,
    -- The table is the queue.
    attempts        smallint not null default 0,
    due_at          timestamptz,                     -- queued: not before
    lease_until     timestamptz,                     -- sending: after this, nobody is working on it any more
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, conversation_id, contact_id, number_id)
        references conversations (workspace_id, id, contact_id, number_id) on update cascade on delete cascade,
    foreign key (workspace_id, integration_id) references integrations,
    constraint messages_provider_sid_key unique (workspace_id, integration_id, provider_sid),
    check (direction <> 'outbound' or status <> 'received'),
    check (direction <> 'inbound' or (status = 'received' and provider_sid is not null)),
    check (direction <> 'note' or (provider_sid is null and status = 'received'))
);
create index messages_of_conversation on messages (workspace_id, conversation_id, id desc);         -- thread
create unique index messages_idempotency on messages (workspace_id, created_by, idempotency_key)
    where idempotency_key is not null;                                                              -- a repeated send
create index messages_due on messages (due_at, id) where status = 'queued';                         -- the sender's claim
create index messages_waiting on messages (workspace_id, conversation_id, id)
    where direction = 'outbound' and status in ('queued', 'sending');                               -- order in a conversation
create index messages_leased on messages (lease_until) where status = 'sending';                    -- what a crash left

create table message_media (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    message_id   uuid not null,
    position     smallint not null default 0,
    content_type text not null default '',
    size         bigint,
    source_url   text not null,                      -- where the provider keeps it
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, message_id) references messages on delete cascade
);
create index media_of_message on message_media (workspace_id, message_id, position);

-- An agent sees what belongs to their numbers; a contact through any conversation they see, or because they made it.
select confine_to_workspace('conversations',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('messages',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('opt_outs',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('message_media',
    readers => 'exists (select from messages m where m.workspace_id = message_media.workspace_id and m.id = message_id)',
    writers => 'exists (select from messages m where m.workspace_id = message_media.workspace_id and m.id = message_id)');
select confine_to_workspace('contacts',
    readers => '(select i_am_admin()) or created_by = (select current_user_id()) or exists (select from conversations c where c.workspace_id = contacts.workspace_id and c.contact_id = contacts.id)');

grant select, insert, update, delete on contacts, conversations, opt_outs, message_media to messagehub_people;
grant select, insert, update on messages to messagehub_people;
grant select, insert, update on contacts, conversations, opt_outs, messages, message_media to messagehub_system;

-- A text's pictures and files, in order, as the API shows them. Runs with the rights of the caller.
create function media_of(workspace uuid, message uuid, kind text) returns jsonb
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '[]'::jsonb; -- most are, and cost nothing
    end if;
    return coalesce(
        (select jsonb_agg(jsonb_build_object('id', d.id, 'content_type', d.content_type, 'size', d.size, 'url', d.source_url)
                          order by d.position)
           from message_media d
          where d.workspace_id = workspace and d.message_id = message), '[]'::jsonb);
end $$;
grant execute on function media_of(uuid, uuid, text) to messagehub_people, messagehub_system;

-- The contact with this number, made if there is none. Whoever may text a number may not see everybody who has been
-- texted from other numbers, so the answer is the id and no more.
create function meet_contact(new_id uuid, phone text) returns uuid
    language sql volatile security definer set search_path = public, pg_temp
begin atomic
    insert into contacts (workspace_id, id, phone_number, created_by)
    select my_workspace(), new_id, phone, current_user_id()
     where my_workspace() is not null
        on conflict (workspace_id, phone_number) do update set phone_number = excluded.phone_number
    returning id;
end;
grant execute on function meet_contact(uuid, text) to messagehub_people;
grant create on schema public to messagehub_system;
alter function meet_contact(uuid, text) owner to messagehub_system;
revoke create on schema public from messagehub_system;
