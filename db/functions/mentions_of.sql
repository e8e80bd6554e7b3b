-- The members mentioned in a note, as the API shows them. Runs with the caller's rights.
create or replace function mentions_of(workspace uuid, message uuid, direction text) returns jsonb
    language plpgsql stable
as $$ begin
    if direction <> 'note' then
        return '[]'::jsonb; -- only notes mention members: no query
    end if;
    return coalesce(
        (select jsonb_agg(jsonb_build_object('user_id', m.user_id, 'name', m.name) order by m.id)
           from mentions m
          where m.workspace_id = workspace and m.message_id = message), '[]'::jsonb);
end $$;
grant execute on function mentions_of to messagehub_people, messagehub_system;
