-- Returns the credit of a message that never went out: canceled, or refused before a provider accepted it. A second call returns
-- nothing. Members may do so in the workspace of their transaction only; the server itself, without a workspace, in any.
create or replace function return_credit(workspace uuid, message uuid) returns table (account uuid, balance bigint)
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    whose uuid;
    held bigint;
    left_over bigint;
begin
    if (current_workspace() is not null or current_setting('role') = 'messagehub_people')
       and (my_workspace() is null or workspace <> my_workspace()) then
        return;
    end if;
    if not exists (select from messages m where m.workspace_id = workspace and m.id = message
                      and (m.status = 'canceled'
                           or (m.status = 'failed' and m.provider_sid is null
                               -- Given up without an answer: it may have been sent.
                               and m.error_code is distinct from 'given_up'))) then
        return;
    end if;
    select l.user_id into whose from credit_ledger l where l.workspace_id = workspace and l.message_id = message limit 1;
    perform from credit_accounts a where a.workspace_id = workspace and a.user_id = whose for update;
    select -sum(l.delta) into held from credit_ledger l where l.workspace_id = workspace and l.message_id = message;
    if coalesce(held, 0) <= 0 then
        return;
    end if;
    update credit_accounts a set balance = a.balance + held, updated_at = now()
     where a.workspace_id = workspace and a.user_id = whose
     returning a.balance into left_over;
    insert into credit_ledger (workspace_id, user_id, delta, balance, kind, message_id)
    values (workspace, whose, held, left_over, 'returned', message);
    return query select whose, left_over;
end $$;
alter function return_credit owner to messagehub_system;
grant execute on function return_credit to messagehub_people;
