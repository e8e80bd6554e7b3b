-- Whether a contact matches a search. Runs as the system role, which reads the index without the policy of contact_words.
create or replace function is_sought(workspace uuid, contact uuid, asked tsquery) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return workspace = current_workspace()
       and exists (select from contact_words w where w.workspace_id = workspace and w.id = contact and w.words @@ asked);
end $$;
alter function is_sought owner to messagehub_system;
grant execute on function is_sought to messagehub_people;
