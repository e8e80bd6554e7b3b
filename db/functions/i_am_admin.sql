-- needed by migrations
-- Whether the user of the transaction is an admin of its workspace.
create or replace function i_am_admin() returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from workspace_members
                    where workspace_id = current_workspace() and user_id = current_user_id() and role = 'admin');
end $$;
alter function i_am_admin owner to messagehub_system;
grant execute on function i_am_admin to messagehub_people;
