-- Indexes new messages, one statement for each batch.
create or replace function index_new_messages() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into message_tokens (workspace_id, id, number_id, nth, words)
    select t.workspace_id, t.id, t.number_id, t.nth, t.words
      from (select a.workspace_id, a.id, a.number_id, a.nth, scoped_tokens_of(part_scope(a.number_id, a.nth / 2048), a.content) as words
              from (select m.workspace_id, m.id, m.number_id, m.content,
                           n.last + (row_number() over (partition by m.workspace_id, m.number_id order by m.id))::integer as nth
                      from added m
                      join (select d.workspace_id, d.number_id, last_token_position(d.workspace_id, d.number_id) as last
                              from (select distinct workspace_id, number_id from added where content <> '') d) n
                        on n.workspace_id = m.workspace_id and n.number_id = m.number_id
                     where m.content <> '') a) t
     where t.words <> ''
        on conflict do nothing;
    return null;
end $$;
alter function index_new_messages owner to messagehub_system;

create or replace trigger messages_after_insert_index after insert on messages
    referencing new table as added for each statement execute function index_new_messages();
