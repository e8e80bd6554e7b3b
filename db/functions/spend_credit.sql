-- Takes one credit of the caller for a message and returns the balance. Null for admins, who do not need credits. Raises if
-- there is none left.
create or replace function spend_credit(message uuid) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    workspace constant uuid := my_workspace();
    left_over bigint;
begin
    if i_am_admin() then
        return null;
    end if;
    -- One statement checks and takes, so that two concurrent sends cannot spend the same credit.
    update credit_accounts a set balance = a.balance - 1, updated_at = now()
     where a.workspace_id = workspace and a.user_id = current_user_id() and a.balance >= 1
     returning a.balance into left_over;
    if left_over is null then
        raise exception 'short of credits' using errcode = 'check_violation', constraint = 'credit_accounts_balance_not_negative';
    end if;
    insert into credit_ledger (workspace_id, user_id, delta, balance, kind, message_id)
    values (workspace, current_user_id(), -1, left_over, 'spent', message);
    return left_over;
end $$;
alter function spend_credit owner to messagehub_system;
grant execute on function spend_credit to messagehub_people;
