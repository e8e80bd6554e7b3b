-- Indexes a message anew: a scheduled one may be edited, and a merge may move it to another conversation.
create or replace function relearn_message() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    nth constant integer := last_nth(new.workspace_id, new.number_id) + 1;
    words constant tsvector := scoped_words_of(part_scope(new.number_id, nth / 2048), new.content);
begin
    delete from message_words w where w.workspace_id = new.workspace_id and w.id = new.id;
    insert into message_words (workspace_id, id, number_id, nth, words)
    select new.workspace_id, new.id, new.number_id, nth, words where words <> '';
    return null;
end $$;
alter function relearn_message owner to messagehub_system;

create or replace trigger relearn_message after update of content, number_id on messages
    for each row when (old.content is distinct from new.content or old.number_id is distinct from new.number_id)
    execute function relearn_message();
