-- The tags of a contact, as the API shows them. Runs as the system role: row-level security would check every row.
create or replace function tags_of(workspace uuid, contact uuid) returns jsonb
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return coalesce(
        (select jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'color', t.color) order by lower(t.name))
           from contact_tags o
           join tags t on t.workspace_id = o.workspace_id and t.id = o.tag_id
          where o.workspace_id = workspace and o.contact_id = contact and workspace = coalesce(current_workspace(), workspace)),
        '[]'::jsonb);
end $$;
alter function tags_of owner to messagehub_system;
grant execute on function tags_of to messagehub_people;
