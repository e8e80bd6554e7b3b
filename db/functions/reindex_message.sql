-- Indexes a message anew: a scheduled one may be edited, and a merge may move it to another conversation.
create or replace function reindex_message() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    nth constant integer := last_token_position(new.workspace_id, new.number_id) + 1;
    words constant tsvector := scoped_tokens_of(part_scope(new.number_id, nth / 2048), new.content);
begin
    delete from message_tokens w where w.workspace_id = new.workspace_id and w.id = new.id;
    insert into message_tokens (workspace_id, id, number_id, nth, words)
    select new.workspace_id, new.id, new.number_id, nth, words where words <> '';
    return null;
end $$;
alter function reindex_message owner to messagehub_system;

create or replace trigger messages_after_update_reindex after update of content, number_id on messages
    for each row when (old.content is distinct from new.content or old.number_id is distinct from new.number_id)
    execute function reindex_message();
