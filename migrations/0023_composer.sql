-- Texts that are sent again and again, texts that are being written, and texts that wait for their time.

create table templates (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    name         text not null check (length(name) between 1 and 80),
    content      text not null check (length(content) between 1 and 1600), -- with {{variables}}
    owner_id     uuid,                               -- whose alone it is, and goes with them; null: the workspace's
    created_by   uuid references users on delete set null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, owner_id) references workspace_members on delete cascade,
    check (owner_id is null or owner_id = created_by)
);
create index templates_newest on templates (workspace_id, created_at desc, id desc);

-- One's own nobody else sees. A shared one everybody uses, and its maker and admins change.
select confine_to_workspace('templates',
    readers => 'owner_id is null or owner_id = (select current_user_id())',
    writers => 'owner_id = (select current_user_id())
                or (owner_id is null and (created_by = (select current_user_id()) or (select i_am_admin())))');
grant select, insert, update, delete on templates to messagehub_people;
grant insert on templates to messagehub_system;      -- the demo's

create table drafts (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null default new_id(),
    user_id         uuid not null default current_user_id(),
    conversation_id uuid,                            -- null: a text to somebody new
    recipient       text not null default '' check (length(recipient) <= 200), -- as typed, of a text to somebody new
    number_id       uuid,                            -- and the number that it is to come from
    content         text not null default '' check (length(content) <= 5000),
    media_ids       uuid[] not null default '{}' check (cardinality(media_ids) <= 10),
    updated_at      timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, user_id) references workspace_members on delete cascade,
    foreign key (workspace_id, conversation_id) references conversations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete set null (number_id)
);
-- One for each conversation and writer, and one for somebody new.
create unique index drafts_once on drafts (workspace_id, user_id, coalesce(conversation_id, '00000000-0000-0000-0000-000000000000'));

-- What somebody is still writing is nobody else's business, not even an admin's.
select confine_to_workspace('drafts',
    readers => 'user_id = (select current_user_id())', writers => 'user_id = (select current_user_id())');
grant select, insert, update, delete on drafts to messagehub_people;
grant select on drafts to messagehub_system;         -- whose files are kept

create index messages_to_come on messages (workspace_id, scheduled_at, id) where status = 'scheduled'; -- what waits, by time
