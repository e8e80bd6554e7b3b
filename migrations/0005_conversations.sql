-- Contacts, and the conversations between one contact and one number.

create table contacts (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    phone_number text not null check (is_address(phone_number)), -- E.164, or another sender id
    name         text check (length(name) between 1 and 120 and name is nfc normalized),
    email        text check (length(email) <= 254),
    notes        text not null default '' check (length(notes) <= 5000),
    created_by   uuid references users on delete set null,       -- null: by an inbound message
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    texted       boolean not null default false,                 -- there is a conversation, with any number
    merged_into  uuid,                                           -- only a phone number of that contact any more
    custom_fields jsonb not null default '{}' check (jsonb_typeof(custom_fields) = 'object'), -- by the key of the field
    updated_by   uuid references users on delete set null,
    name_key     text collate "C" generated always as (name_key(name, phone_number)) stored,  -- for sorting
    primary key (workspace_id, id),
    foreign key (workspace_id, merged_into) references contacts on delete cascade,
    constraint contacts_phone_number_key unique (workspace_id, phone_number)
);
create index contacts_by_name on contacts (workspace_id, name_key, id) where merged_into is null;  -- the list, by name
create index contacts_untexted on contacts (workspace_id, id) where not texted and merged_into is null; -- the end of the list by last message
create index contacts_untexted_of on contacts (workspace_id, created_by, id)
    where not texted and merged_into is null;                                                      -- the same for an agent
create index contacts_merged on contacts (workspace_id, merged_into) where merged_into is not null; -- a contact's other phone numbers
create index contacts_with_field on contacts (workspace_id) where custom_fields <> '{}';           -- removing a field

create table conversations (
    workspace_id  uuid not null default current_workspace() references workspaces on delete cascade,
    id            uuid not null,
    contact_id    uuid not null,
    number_id     uuid not null,
    status        text not null default 'open',      -- open, pending, snoozed, done
    assignee_id   uuid,
    snoozed_until timestamptz,
    unread_count  integer not null default 0,
    -- What the list shows of the newest message is copied here: a page of the list is one index scan at any volume.
    last_message_at        timestamptz not null default now(),
    last_message_preview   text not null default '',
    last_message_direction text not null default 'inbound',
    last_message_status    text not null default 'received',
    last_message_id        uuid,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    near_stop_id  uuid,                              -- the newest inbound message that resembles STOP, until a member has decided
    waiting_since timestamptz,                       -- the contact's first text after a member's last answer; null: answered, or done
    -- Indexes are on these instead of the columns that every message changes: most messages change no index entry (HOT updates).
    -- Lists are ordered by listed_at, then exactly inside its ten seconds.
    listed_at     timestamptz not null generated always as (date_bin('10 seconds', last_message_at, '2000-01-01 00:00:00+00')) stored,
    is_unread     boolean not null generated always as (unread_count > 0) stored,
    is_failed     boolean not null generated always as (last_message_status in ('failed', 'undelivered')) stored,
    primary key (workspace_id, id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade,
    foreign key (workspace_id, assignee_id) references workspace_members on delete set null (assignee_id),
    constraint conversations_valid check (is_valid_conversation(status, unread_count, last_message_direction)),
    constraint conversations_contact_number_key unique (workspace_id, contact_id, number_id),
    -- Messages refer to conversation, contact and number by one key, so that the three cannot disagree.
    constraint conversations_reference_key unique (workspace_id, id, contact_id, number_id)
) with (fillfactor = 70); -- room in each page for the next version of its rows
-- No index may begin with a part of a key that is looked up as a whole, such as (workspace_id, number_id, ...): on a table without
-- statistics the planner could prefer it to the key.
create index conversations_newest on conversations (workspace_id, status, listed_at desc);                     -- an admin's list
create index conversations_of_number on conversations (workspace_id, status, number_id, listed_at desc);       -- an agent's list
create index conversations_unread on conversations (workspace_id, status, number_id, listed_at desc)
    where is_unread;                                                                               -- "Unread", and its count
create index conversations_of_assignee on conversations (workspace_id, assignee_id, status, number_id, listed_at desc)
    where assignee_id is not null;                                                                 -- "Mine", and its count
create index conversations_unassigned on conversations (workspace_id, status, number_id, listed_at desc)
    where assignee_id is null;                                                                     -- "Unassigned"
create index conversations_failed on conversations (workspace_id, status, number_id, listed_at desc)
    where is_failed;                                                                               -- "Not delivered"
create index conversations_newest_waiting on conversations (workspace_id, status, number_id, listed_at desc)
    where waiting_since is not null;                                                               -- those who wait, newest first
-- Touched when somebody begins to wait, and when they are answered; not by the texts between.
create index conversations_waiting on conversations (workspace_id, status, number_id, waiting_since, id)
    where waiting_since is not null;                                                               -- "Needs answer", its count, and longest first
create index conversations_contacts_of_number on conversations (workspace_id, number_id, contact_id); -- an agent's contacts
create index conversations_snoozed on conversations (snoozed_until) where status = 'snoozed';       -- ending snoozes

-- Conversations that were merged into another one: old links lead there.
create table merged_conversations (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    into_id      uuid not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, into_id) references conversations on delete cascade
);
create index merged_conversations_into on merged_conversations (workspace_id, into_id);

-- The activity of a conversation: who did what when. Rows are only added, by triggers, in the transaction of the change.
create table conversation_events (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null default new_id(),  -- sorts by time, among the ids of messages
    conversation_id uuid not null,
    number_id       uuid not null,
    kind            text not null check (kind in ('assigned', 'unassigned', 'pending', 'done', 'reopened', 'snoozed', 'unsnoozed',
                                                  'opted_out', 'opted_in')),
    cause           text check (cause in ('text', 'time', 'provider', 'member', 'import')), -- of changes not made by a member
    actor_id        uuid default current_user_id(),  -- null: the contact, the provider or the clock
    actor_name      text not null default '',        -- at that time
    assignee_id     uuid,                            -- the new assignee; of `unassigned`: the former one
    assignee_name   text,
    previous_id     uuid,                            -- the former assignee
    previous_name   text,
    until           timestamptz,                     -- of `snoozed`
    created_at      timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, conversation_id) references conversations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index events_of_conversation on conversation_events (workspace_id, conversation_id, id desc); -- the thread

-- An agent sees what belongs to their numbers: a contact through any conversation that they see, or, until it is texted,
-- because they created it. A merged contact is seen as its survivor. The condition inside `exists` keeps the planner from
-- collecting the contacts of all visible conversations before it looks at the first contact.
select confine_to_workspace('contacts',
    readers => 'merged_into is null
                and ((select i_am_admin())
                     or exists (select from conversations c
                                 where c.workspace_id = contacts.workspace_id and c.contact_id = contacts.id and contacts.merged_into is null)
                     or (created_by = (select current_user_id()) and not texted))');
select confine_to_workspace('conversations',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('merged_conversations',
    readers => 'exists (select from conversations v where v.workspace_id = merged_conversations.workspace_id and v.id = into_id)',
    writers => 'false');
select confine_to_workspace('conversation_events',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'false');

grant select, insert, update, delete on contacts, conversations to messagehub_people;
grant select on merged_conversations, conversation_events to messagehub_people;
grant select, insert, update, delete on contacts, conversations, merged_conversations to messagehub_system;
grant select, insert, update (conversation_id) on conversation_events to messagehub_system;
