-- Messages; what members write before a message exists; and what is kept after one was deleted.

-- The conversation's key proves the workspace, the contact and the number. Further foreign keys would make each message lock the rows
-- of its workspace and integration, which are the same ones for many messages at once. Integrations are never deleted.
create table messages (
    workspace_id    uuid not null default current_workspace(),
    id              uuid not null,                   -- UUIDv7: sorts by time
    conversation_id uuid not null,
    contact_id      uuid not null,
    number_id       uuid not null,
    integration_id  uuid not null,
    direction       text not null,                   -- inbound, outbound, note
    content         text not null default '',
    message_type    text not null default 'text',    -- text, media
    status          text not null,                   -- scheduled, queued, sending, unconfirmed, sent, delivered, undelivered, failed,
                                                     -- canceled; inbound and notes: received
    provider        text not null,
    provider_sid    text,
    provider_status text,                            -- as the provider reported it
    error_code      text,
    error_message   text,                            -- a sentence for users
    segments        smallint,
    price           numeric,
    price_unit      text,
    sentiment       text,                            -- positive, neutral, negative
    created_by      uuid references users on delete set null,
    scheduled_at    timestamptz,
    -- A repeated request gets the first one's answer instead of sending twice.
    idempotency_key text,
    request_hash    bytea,
    -- The table is the queue.
    attempts        smallint not null default 0,
    due_at          timestamptz,                     -- queued, scheduled: not before; unconfirmed: when to ask the provider next
    lease_until     timestamptz,                     -- sending: after this, no server is working on it
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    outcome_checks       smallint not null default 0,     -- unconfirmed: how often the provider was asked for the outcome
    retried_as      uuid,                            -- a message that failed can be sent again once, as this one
    bulk            boolean not null default false,  -- single messages are sent before bulk
    expires_at      timestamptz,                     -- queued: not sent after this
    address         text,                            -- the contact's phone number at sending: contacts change and are merged
    inserted_by     xid8 not null default pg_current_xact_id(), -- for workers that derive data from messages (search_progress)
    primary key (workspace_id, id),
    foreign key (workspace_id, conversation_id, contact_id, number_id)
        references conversations (workspace_id, id, contact_id, number_id) on update cascade on delete cascade,
    constraint messages_valid check (is_valid_message(direction, message_type, status, provider_sid, segments, sentiment, idempotency_key))
);
-- Partial, and so no key that a foreign key may refer to: otherwise storing the id of a message that was sent would wait for
-- transactions that refer to it.
create unique index messages_provider_sid on messages (workspace_id, integration_id, provider_sid)
    where provider_sid is not null;
create index messages_of_conversation on messages (workspace_id, conversation_id, id desc);         -- thread
create index messages_by_transaction on messages (inserted_by, workspace_id, id);                   -- those not yet indexed for search
create unique index messages_idempotency on messages (workspace_id, created_by, idempotency_key)
    where idempotency_key is not null;
create index messages_of_queue on messages (workspace_id, number_id, bulk, due_at, id) where status = 'queued'; -- the sender's claim
create index messages_waiting on messages (workspace_id, conversation_id, id)
    where direction = 'outbound' and status in ('queued', 'sending');                               -- order in a conversation
create index messages_leased on messages (lease_until) where status = 'sending';                    -- left over from a crash
create index messages_expiring on messages (expires_at) where status = 'queued';
create index messages_scheduled on messages (due_at, id) where status = 'scheduled';                -- due ones
create index messages_scheduled_of_number on messages (workspace_id, number_id, scheduled_at, id) where status = 'scheduled'; -- the list
create index messages_scheduled_of_conversation on messages (workspace_id, conversation_id, scheduled_at, id)
    where status = 'scheduled';                                                                     -- below the thread
create index messages_unconfirmed on messages (id) where status = 'unconfirmed';                    -- few at any time
create index messages_sent_later on messages (workspace_id, scheduled_at) where scheduled_at is not null; -- usage: all others by id
create index messages_failed_by_opt_out on messages (workspace_id, conversation_id)
    where error_code = 'contact_opted_out';                                                         -- live updates after an opt-out
create index messages_by_status on messages (workspace_id, number_id, status, id desc)
    where direction = 'outbound' and status not in ('sent', 'delivered');                           -- lists by status

-- Messages that were deleted with their contact: a provider's list does not bring them back. Kept as long as such a list reaches.
create table deleted_messages (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    integration_id uuid not null,
    provider_sid   text not null,
    created_at     timestamptz not null default now(),
    primary key (workspace_id, integration_id, provider_sid),
    foreign key (workspace_id, integration_id) references integrations on delete cascade
);
create index deleted_messages_by_age on deleted_messages (created_at); -- housekeeping

-- Members mentioned in a note.
create table mentions (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null default new_id(),
    message_id      uuid not null,
    conversation_id uuid not null,
    number_id       uuid not null,
    user_id         uuid not null references users on delete cascade,
    name            text not null,                   -- as written in the note
    seen_at         timestamptz,
    created_at      timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint mentions_once unique (workspace_id, message_id, user_id),
    foreign key (workspace_id, message_id) references messages on delete cascade,
    foreign key (workspace_id, conversation_id) references conversations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index mentions_of_user on mentions (workspace_id, user_id, conversation_id);                      -- "Mentions"
create index mentions_unseen on mentions (workspace_id, user_id, conversation_id) where seen_at is null; -- and its count

create table templates (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    name         text not null check (length(name) between 1 and 80),
    content      text not null check (length(content) between 1 and 1600), -- with {{variables}}
    owner_id     uuid,                               -- private to this member, deleted with the membership; null: shared
    created_by   uuid references users on delete set null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, owner_id) references workspace_members on delete cascade,
    check (owner_id is null or owner_id = created_by)
);
create index templates_newest on templates (workspace_id, created_at desc, id desc);

create table drafts (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null default new_id(),
    user_id         uuid not null default current_user_id(),
    conversation_id uuid,                            -- null: a message to a new recipient
    recipient       text not null default '' check (length(recipient) <= 200), -- of a message to a new recipient, as typed
    number_id       uuid,                            -- from which it is to be sent
    content         text not null default '' check (length(content) <= 5000),
    media_ids       uuid[] not null default '{}' check (cardinality(media_ids) <= 10),
    updated_at      timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, user_id) references workspace_members on delete cascade,
    foreign key (workspace_id, conversation_id) references conversations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete set null (number_id)
);
-- One for each conversation and user, and one for a new recipient.
create unique index drafts_once on drafts (workspace_id, user_id, coalesce(conversation_id, '00000000-0000-0000-0000-000000000000'));

select confine_to_workspace('messages',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('deleted_messages', readers => 'false', writers => 'false');
select confine_to_workspace('mentions',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
-- Private templates are visible to their owner only; shared ones are changed by their creator and by admins.
select confine_to_workspace('templates',
    readers => 'owner_id is null or owner_id = (select current_user_id())',
    writers => 'owner_id = (select current_user_id())
                or (owner_id is null and (created_by = (select current_user_id()) or (select i_am_admin())))');
-- A draft is visible to its author only, not even to admins.
select confine_to_workspace('drafts',
    readers => 'user_id = (select current_user_id())', writers => 'user_id = (select current_user_id())');

grant select, insert, update on messages to messagehub_people, messagehub_system;
grant select, insert, delete on deleted_messages to messagehub_system;
grant select, insert, update (seen_at) on mentions to messagehub_people;
grant select, insert, update (conversation_id) on mentions to messagehub_system;
grant select, insert, update, delete on templates, drafts to messagehub_people;
grant insert on templates to messagehub_system;         -- the demo
grant select, update on drafts to messagehub_system;    -- which uploads are still needed; merging contacts

-- A text for `receive_texts`.
create type inbound_text as (
    workspace_id    uuid,
    integration_id  uuid,
    number_id       uuid,
    provider        text,
    provider_sid    text,
    sender          text,
    content         text,
    preview         text,
    segments        smallint,
    media           jsonb,        -- [{id, content_type, url}], or null
    keyword         text,         -- 'stop', 'start', 'yes', or null
    near_stop       boolean,
    is_reaction     boolean,
    provider_time   timestamptz,  -- of a text that arrives late
    via             text,         -- for the journal; null: it does not come from a provider
    -- Ids for new rows.
    message_id      uuid,
    contact_id      uuid,
    conversation_id uuid,
    webhook_id      uuid
);

-- A delivery report for `apply_delivery_reports`.
create type delivery_report as (
    workspace_id    uuid,
    integration_id  uuid,
    provider        text,
    provider_sid    text,
    our_id          uuid,         -- from the callback URL, or null
    status          text,         -- null if the provider's status is unknown
    raw_status      text,
    error_code      text,
    error_message   text,
    is_opt_out      boolean,      -- it failed because the recipient opted out
    segments        smallint,
    price           text,
    price_unit      text,
    via             text          -- for the journal
);
