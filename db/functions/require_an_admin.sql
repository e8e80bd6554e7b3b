-- A workspace keeps at least one admin. The lock serialises two admins who leave at the same moment; `for update` would deadlock
-- with the key locks of the audit entries that both have written.
create or replace function require_an_admin() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform from workspaces where id = old.workspace_id for no key update;
    if found and not exists (select from workspace_members where workspace_id = old.workspace_id and role = 'admin') then
        raise exception 'a workspace keeps an admin' using errcode = 'check_violation', constraint = 'workspace_requires_an_admin';
    end if;
    return null;
end $$;
alter function require_an_admin owner to messagehub_system;

create or replace trigger workspace_members_after_change_require_an_admin after update of role or delete on workspace_members
    for each row when (old.role = 'admin') execute function require_an_admin();
