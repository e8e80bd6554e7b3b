-- An admin adds to a member's balance (`change`) or sets it (`wanted`). Returns the balance before and after.
create or replace function grant_credits(whose uuid, change bigint, wanted bigint, why text) returns table (before bigint, after bigint)
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    workspace constant uuid := my_workspace();
    had bigint;
    has bigint;
begin
    if workspace is null or not i_am_admin() or not works_with_me(whose) then
        return;
    end if;
    insert into credit_accounts (workspace_id, user_id) values (workspace, whose) on conflict do nothing;
    select a.balance into had from credit_accounts a where a.workspace_id = workspace and a.user_id = whose for update;
    update credit_accounts a set balance = coalesce(wanted, had + change), updated_at = now()
     where a.workspace_id = workspace and a.user_id = whose
     returning a.balance into has;
    if has <> had then
        insert into credit_ledger (workspace_id, user_id, delta, balance, kind, reason, actor_id, actor_name)
        select workspace, whose, has - had, has, 'granted', why, u.id, u.name from users u where u.id = current_user_id();
    end if;
    return query select had, has;
end $$;
alter function grant_credits owner to messagehub_system;
grant execute on function grant_credits to messagehub_people;
