-- The members who may see a number: admins, and the agents to whom it is assigned. For statements about others than the caller,
-- whose own numbers `my_numbers` gives to the policies. PostgreSQL plans it as part of the statement that calls it.
create or replace function number_viewers(workspace uuid, number uuid) returns table (user_id uuid)
    language sql stable
as $$
    select m.user_id
      from workspace_members m
     where m.workspace_id = workspace
       and (m.role = 'admin'
            or exists (select from number_members a
                        where a.workspace_id = m.workspace_id and a.number_id = number and a.user_id = m.user_id))
$$;
grant execute on function number_viewers to messagehub_people, messagehub_system;
