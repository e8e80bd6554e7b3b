-- Runs as the system role: row-level security would check every row of contact_tags against contacts.
create or replace function has_tag(workspace uuid, contact uuid, tag uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from contact_tags o where o.workspace_id = workspace and o.contact_id = contact and o.tag_id = tag
                      and workspace = coalesce(current_workspace(), workspace));
end $$;
alter function has_tag owner to messagehub_system;
grant execute on function has_tag to messagehub_people;
