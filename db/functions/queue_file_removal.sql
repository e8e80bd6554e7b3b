-- Queues the deletion of a file once no row refers to it. A file that is still being stored is
-- written until `fetch_at`, so it is deleted after that.
create or replace function queue_file_removal() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if (old.stored_at is not null or old.fetch_at is not null)
       and not exists (select from message_media d
                        where d.workspace_id = old.workspace_id and coalesce(d.copy_of, d.id) = coalesce(old.copy_of, old.id)) then
        insert into removed_files (file, due_at)
        values (old.workspace_id || '/' || coalesce(old.copy_of, old.id), greatest(now(), old.fetch_at))
            on conflict do nothing;
    end if;
    return null;
end $$;
alter function queue_file_removal owner to messagehub_system;

create or replace trigger message_media_after_delete_queue_removal after delete on message_media for each row execute function queue_file_removal();
