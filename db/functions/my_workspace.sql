-- needed by migrations
-- The workspace of the transaction if its user is a member of it. The policies call this. It runs as the system role, because
-- members may not read the rows that decide what they may read; in PL/pgSQL, which plans once per connection: as an SQL function it
-- was planned again in every statement, which took longer than most statements.
create or replace function my_workspace() returns uuid
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return (select workspace_id from workspace_members
             where workspace_id = current_workspace() and user_id = current_user_id());
end $$;
alter function my_workspace owner to messagehub_system;
grant execute on function my_workspace to messagehub_people;
