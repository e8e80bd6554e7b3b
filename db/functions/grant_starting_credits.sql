-- A new agent gets the starting credits of the workspace, once: one who comes back does not get them again.
create or replace function grant_starting_credits() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    gift integer;
    has bigint;
begin
    select starting_credits into gift from workspaces where id = new.workspace_id;
    if coalesce(gift, 0) = 0 then
        return null;
    end if;
    insert into credit_accounts as a (workspace_id, user_id, balance) values (new.workspace_id, new.user_id, gift)
        on conflict do nothing
        returning a.balance into has;
    if has is null then
        return null; -- has been a member before
    end if;
    insert into credit_ledger (workspace_id, user_id, delta, balance, kind, reason)
    values (new.workspace_id, new.user_id, gift, has, 'granted', 'to begin with');
    return null;
end $$;
alter function grant_starting_credits owner to messagehub_system;

create or replace trigger workspace_members_after_insert_grant_starting_credits after insert on workspace_members
    for each row when (new.role = 'agent') execute function grant_starting_credits();
