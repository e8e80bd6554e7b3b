-- The other phone numbers of a contact: those of the contacts merged into it.
create or replace function addresses_of(workspace uuid, contact uuid) returns text[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return array(select c.phone_number from contacts c
                  where c.workspace_id = workspace and c.merged_into = contact
                    and workspace = coalesce(current_workspace(), workspace)
                  order by c.id);
end $$;
alter function addresses_of owner to messagehub_system;
grant execute on function addresses_of to messagehub_people;
