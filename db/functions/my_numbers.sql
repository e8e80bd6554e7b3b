-- needed by migrations
-- The numbers that the user may see: all for an admin, the assigned ones for an agent. For policies; queries of the system role join number_members.
create or replace function my_numbers() returns uuid[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    -- The role is read once per call, not once per number: every policy calls this function.
    if i_am_admin() then
        return array(select n.id from numbers n where n.workspace_id = current_workspace());
    end if;
    return array(select a.number_id from number_members a
                  where a.workspace_id = my_workspace() and a.user_id = current_user_id());
end $$;
alter function my_numbers owner to messagehub_system;
grant execute on function my_numbers to messagehub_people;
