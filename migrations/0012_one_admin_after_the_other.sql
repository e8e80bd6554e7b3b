-- Two admins who demote or remove each other at the same moment deadlocked: each had written an audit entry, whose foreign key
-- holds the workspace's row against `for update`. The weaker lock still makes one go after the other.
create or replace function keep_an_admin() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform from workspaces where id = old.workspace_id for no key update;
    if found and not exists (select from workspace_members where workspace_id = old.workspace_id and role = 'admin') then
        raise exception 'a workspace keeps an admin' using errcode = 'check_violation', constraint = 'workspace_keeps_an_admin';
    end if;
    return null;
end $$;
