-- Files of our own keeping: fetched from the provider once their text is stored, or uploaded to be sent.

alter table message_media
    alter column message_id drop not null,                              -- uploaded, and in no text yet
    alter column source_url drop not null,                              -- uploaded: nobody else has it
    add column uploaded_by uuid references users on delete set null,    -- null: it came with a text
    add column copy_of     uuid,                                        -- sent once more: the file is the first one's
    add column stored_at   timestamptz,                                 -- since then it lies in the store
    add column thumbnail   boolean not null default false,              -- and a small one beside it
    -- What comes in is fetched from now on. Whoever works on it moves this ahead, and nobody else takes it until then.
    -- Null: there is nothing more to do.
    add column fetch_at    timestamptz default now(),
    add column integration_id uuid,                                     -- whose provider has it, where it is to be fetched
    add column attempts    smallint not null default 0,
    add column failure     text,                                        -- why it is given up, in words
    add column file_name   text check (length(file_name) between 1 and 40); -- uploaded: what receivers see it called
update message_media set fetch_at = null where source_url like '/%';    -- the demo's pictures are part of the program

-- The lease, by account: of one whose provider hangs no more is fetched than it has room for, however long its queue.
create index media_to_fetch on message_media (integration_id, fetch_at) where fetch_at is not null and integration_id is not null;
create index media_unused on message_media (created_at) where message_id is null;       -- uploads that nobody sent
create index media_of_file on message_media (workspace_id, coalesce(copy_of, id));      -- whether a file is still needed

-- An upload is its uploader's alone, until it is in a text.
drop policy people_see on message_media;
drop policy people_add on message_media;
drop policy people_change on message_media;
drop policy people_remove on message_media;
drop policy system on message_media;
select confine_to_workspace('message_media',
    readers => '(message_id is null and uploaded_by = (select current_user_id()))
                or exists (select from messages m where m.workspace_id = message_media.workspace_id and m.id = message_id)',
    writers => '(message_id is null and uploaded_by = (select current_user_id()))
                or exists (select from messages m where m.workspace_id = message_media.workspace_id and m.id = message_id)');
grant delete on message_media to messagehub_system; -- uploads that nobody sent

-- What has no row any more, and still lies in the store. The row and this entry go in one transaction, so a crash loses
-- neither. Of no workspace: that may be gone by then.
create table removed_files (
    file   text primary key,                        -- as the store calls it
    due_at timestamptz not null default now()
);
alter table removed_files enable row level security;
alter table removed_files force row level security;
create policy system on removed_files to messagehub_system using (true) with check (true);
grant select, insert, update, delete on removed_files to messagehub_system;

create function remove_file() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if (old.stored_at is not null or old.fetch_at is not null)
       and not exists (select from message_media d
                        where d.workspace_id = old.workspace_id and coalesce(d.copy_of, d.id) = coalesce(old.copy_of, old.id)) then
        -- Whoever is storing it at this moment is done by then.
        insert into removed_files (file, due_at)
        values (old.workspace_id || '/' || coalesce(old.copy_of, old.id), greatest(now(), old.fetch_at))
            on conflict do nothing;
    end if;
    return null;
end $$;
grant create on schema public to messagehub_system;
alter function remove_file() owner to messagehub_system;
revoke create on schema public from messagehub_system;
create trigger remove_file after delete on message_media for each row execute function remove_file();

-- As the API shows them. What begins with a slash is part of the program; what a person gave as an address stays there.
create or replace function media_of(workspace uuid, message uuid, kind text) returns jsonb
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '[]'::jsonb; -- most are, and cost nothing
    end if;
    return coalesce(
        (select jsonb_agg(jsonb_build_object(
                    'id', d.id, 'content_type', d.content_type, 'size', d.size,
                    'url', case when d.source_url like '/%' or (d.uploaded_by is not null and d.source_url is not null) then d.source_url
                                else '/api/workspaces/' || workspace || '/media/' || d.id end,
                    'error', d.failure)
                    order by d.position)
           from message_media d
          where d.workspace_id = workspace and d.message_id = message), '[]'::jsonb);
end $$;

-- What a provider is handed with a text, in order: our own files by their id and name, others by their address.
create function outgoing_media(workspace uuid, message uuid, kind text) returns text[]
    language plpgsql stable
as $$ begin
    if kind = 'text' then
        return '{}'; -- most are, and cost nothing
    end if;
    return array(select coalesce(d.source_url, d.id || '/' || coalesce(d.file_name, 'file')) from message_media d
                  where d.workspace_id = workspace and d.message_id = message
                  order by d.position);
end $$;
grant execute on function outgoing_media(uuid, uuid, text) to messagehub_system;
