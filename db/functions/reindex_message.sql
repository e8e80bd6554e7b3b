-- Indexes a message anew: a scheduled one may be edited, and a merge may move it to another conversation. If the worker is about to
-- index it for the first time, with what it was before, the later one of the two waits, and this one holds.
create or replace function reindex_message() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    position constant integer := last_token_position(new.workspace_id, new.number_id) + 1;
begin
    insert into message_tokens (workspace_id, id, number_id, nth, words)
    values (new.workspace_id, new.id, new.number_id, position,
            scoped_tokens_of(search_part_scope(new.number_id, position / 2048), new.content))
        on conflict (workspace_id, id) do update set number_id = excluded.number_id, nth = excluded.nth, words = excluded.words;
    return null;
end $$;
alter function reindex_message owner to messagehub_system;

create or replace trigger messages_after_update_reindex after update of content, number_id on messages
    for each row when (old.content is distinct from new.content or old.number_id is distinct from new.number_id)
    execute function reindex_message();
