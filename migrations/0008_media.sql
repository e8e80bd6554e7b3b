-- Attachments of messages: fetched from the provider once their message is stored, or uploaded to be sent.

create table message_media (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    message_id   uuid,                               -- null: uploaded, and in no message yet
    position     smallint not null default 0,
    content_type text not null default '',
    size         bigint,
    source_url   text,                               -- where the provider keeps it; null: uploaded
    created_at   timestamptz not null default now(),
    uploaded_by  uuid references users on delete set null, -- null: it came with a message
    copy_of      uuid,                               -- sent again: the file is stored once, under the first id
    stored_at    timestamptz,                        -- since then it is in the store
    thumbnail    boolean not null default false,     -- the store has a thumbnail too
    -- When to fetch it. The server that fetches moves this ahead, as a lease. Null: nothing left to do.
    fetch_at     timestamptz default now(),
    integration_id uuid,                             -- whose provider has it, if it is to be fetched
    attempts     smallint not null default 0,
    failure      text,                               -- why fetching was given up, as a sentence
    file_name    text check (length(file_name) between 1 and 40), -- of an upload, as recipients see it
    -- The page reserves space for a picture, so that nothing moves when it loads.
    width        integer check (width > 0),
    height       integer check (height > 0),
    primary key (workspace_id, id),
    foreign key (workspace_id, message_id) references messages on delete cascade,
    check ((width is null) = (height is null))
);
create index media_of_message on message_media (workspace_id, message_id, position);
-- By integration: one whose provider hangs gets only as many fetches as it has free slots, however long its queue.
create index media_to_fetch on message_media (integration_id, fetch_at) where fetch_at is not null and integration_id is not null;
create index media_unused on message_media (created_at) where message_id is null;       -- uploads that were not sent
create index media_of_file on message_media (workspace_id, coalesce(copy_of, id));      -- whether a file is still needed

-- Files to delete from the store. The entry is written in the transaction that deletes the last row of the file, so a crash loses
-- neither. Without a workspace_id, because the workspace may be gone by then.
create table removed_files (
    file   text primary key,                        -- its key in the store
    due_at timestamptz not null default now()
);

-- An upload is visible to its uploader only, until it is in a message.
select confine_to_workspace('message_media',
    readers => '(message_id is null and uploaded_by = (select current_user_id()))
                or exists (select from messages m where m.workspace_id = message_media.workspace_id and m.id = message_id)',
    writers => '(message_id is null and uploaded_by = (select current_user_id()))
                or exists (select from messages m where m.workspace_id = message_media.workspace_id and m.id = message_id)');
alter table removed_files enable row level security;
alter table removed_files force row level security;
create policy system on removed_files to messagehub_system using (true) with check (true);

grant select, insert, update, delete on message_media to messagehub_people, messagehub_system;
grant select, insert, update, delete on removed_files to messagehub_system;
