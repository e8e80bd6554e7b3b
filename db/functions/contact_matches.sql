-- Whether a contact matches a search. Runs as the system role, which reads the index without the policy of contact_tokens.
create or replace function contact_matches(workspace uuid, contact uuid, asked tsquery) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return workspace = current_workspace()
       and exists (select from contact_tokens w where w.workspace_id = workspace and w.id = contact and w.words @@ asked);
end $$;
alter function contact_matches owner to messagehub_system;
grant execute on function contact_matches to messagehub_people;
