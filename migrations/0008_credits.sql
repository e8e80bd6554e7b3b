-- What an agent spends to send a text. People's role cannot write here: three functions do, and each checks who asks, so no
-- door can forget to take a credit or give one away.

create table credit_accounts (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    user_id      uuid not null references users on delete cascade,
    balance      bigint not null default 0,          -- always the sum of the ledger
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, user_id),
    constraint credits_suffice check (balance >= 0)
);

create table credit_ledger (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    user_id      uuid not null,
    delta        bigint not null check (delta <> 0),
    balance      bigint not null check (balance >= 0), -- after this entry
    kind         text not null check (kind in ('granted', 'spent', 'returned')),
    reason       text not null default '' check (length(reason) <= 200),
    message_id   uuid,                               -- no key: the ledger outlives the text
    actor_id     uuid,                               -- who granted; null: the server itself
    actor_name   text not null default '',           -- as they were called then
    created_at   timestamptz not null default clock_timestamp(), -- under the account's lock, so in the order of the entries
    primary key (workspace_id, id),
    foreign key (workspace_id, user_id) references credit_accounts
);
create index ledger_of_account on credit_ledger (workspace_id, user_id, created_at desc, id desc); -- the ledger's page
create index ledger_of_message on credit_ledger (workspace_id, message_id) where message_id is not null; -- what a text holds

select confine_to_workspace('credit_accounts',
    readers => '(select i_am_admin()) or user_id = (select current_user_id())', writers => 'false');
select confine_to_workspace('credit_ledger',
    readers => '(select i_am_admin()) or user_id = (select current_user_id())', writers => 'false');
grant select on credit_accounts, credit_ledger to messagehub_people;
grant select, insert, update on credit_accounts to messagehub_system;
grant select, insert on credit_ledger to messagehub_system;

-- What was written stays as it was written. It goes with its workspace, and only so.
create function append_only() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if tg_op = 'DELETE' then
        if not exists (select from workspaces where id = old.workspace_id) then
            return old;
        end if;
    end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on credit_ledger for each row execute function append_only();
create trigger append_only_whole before truncate on credit_ledger execute function append_only();

-- Takes one credit of mine for a text. Null: an admin's are not counted. Short: the transaction ends here.
create function spend_credit(message uuid) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    workspace constant uuid := my_workspace();
    left_over bigint;
begin
    if i_am_admin() then
        return null;
    end if;
    -- One statement takes and checks, so two sends at once cannot spend the same credit.
    update credit_accounts a set balance = a.balance - 1, updated_at = now()
     where a.workspace_id = workspace and a.user_id = current_user_id() and a.balance >= 1
     returning a.balance into left_over;
    if left_over is null then
        raise exception 'short of credits' using errcode = 'check_violation', constraint = 'credits_suffice';
    end if;
    insert into credit_ledger (workspace_id, user_id, delta, balance, kind, message_id)
    values (workspace, current_user_id(), -1, left_over, 'spent', message);
    return left_over;
end $$;

-- Gives back what a text holds, if it never went out: canceled, or refused before a provider took it. Whoever calls twice
-- gives back once. People do so in the workspace that they work in, and where none is set they work in none; the server
-- itself, which sets none either, may anywhere.
create function return_credit(workspace uuid, message uuid) returns table (account uuid, balance bigint)
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
                               -- Given up on without knowing: it may have gone out.
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

-- An admin adds to somebody's balance, takes from it, or sets it; answers the balance before and after.
create function grant_credits(whose uuid, change bigint, wanted bigint, why text) returns table (before bigint, after bigint)
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

-- Whoever joins as an agent begins with what the workspace gives to beginners.
create function welcome_agent() returns trigger
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
        return null; -- whoever comes back has begun before
    end if;
    insert into credit_ledger (workspace_id, user_id, delta, balance, kind, reason)
    values (new.workspace_id, new.user_id, gift, has, 'granted', 'to begin with');
    return null;
end $$;
create trigger welcome_agent after insert on workspace_members
    for each row when (new.role = 'agent') execute function welcome_agent();

grant execute on function spend_credit(uuid), grant_credits(uuid, bigint, bigint, text) to messagehub_people;
grant execute on function return_credit(uuid, uuid) to messagehub_people, messagehub_system;
grant create on schema public to messagehub_system;
alter function append_only() owner to messagehub_system;
alter function spend_credit(uuid) owner to messagehub_system;
alter function return_credit(uuid, uuid) owner to messagehub_system;
alter function grant_credits(uuid, bigint, bigint, text) owner to messagehub_system;
alter function welcome_agent() owner to messagehub_system;
revoke create on schema public from messagehub_system;
