-- The contact into which a contact was merged.
create or replace function survivor_of(contact uuid) returns uuid
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return (select c.merged_into from contacts c where c.workspace_id = my_workspace() and c.id = contact);
end $$;
alter function survivor_of owner to messagehub_system;
grant execute on function survivor_of to messagehub_people;
