-- needed by migrations
-- Whether `someone` is a member of the workspace of the transaction.
create or replace function works_with_me(someone uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from workspace_members
                    where workspace_id = my_workspace() and user_id = someone);
end $$;
alter function works_with_me owner to messagehub_system;
grant execute on function works_with_me to messagehub_people;
