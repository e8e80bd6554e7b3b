-- Credits, which agents spend to send. Members' role cannot write here: only functions do, and each checks who calls it.

create table credit_accounts (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    user_id      uuid not null references users on delete cascade,
    balance      bigint not null default 0,          -- always the sum of the ledger
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, user_id),
    constraint credit_accounts_balance_not_negative check (balance >= 0)
);

-- Append-only, by the triggers of `refuse_change_of_append_only`.
create table credit_ledger (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    user_id      uuid not null,
    delta        bigint not null check (delta <> 0),
    balance      bigint not null check (balance >= 0), -- after this entry
    kind         text not null check (kind in ('granted', 'spent', 'returned')),
    reason       text not null default '' check (length(reason) <= 200),
    message_id   uuid,                               -- no foreign key: the ledger outlives the message
    actor_id     uuid,                               -- who granted; null: the server itself
    actor_name   text not null default '',           -- at that time
    created_at   timestamptz not null default clock_timestamp(), -- the account is locked, so in the order of the entries
    primary key (workspace_id, id),
    foreign key (workspace_id, user_id) references credit_accounts
);
create index ledger_of_account on credit_ledger (workspace_id, user_id, created_at desc, id desc); -- the list
create index ledger_of_message on credit_ledger (workspace_id, message_id) where message_id is not null; -- what to return

select confine_to_workspace('credit_accounts',
    readers => '(select i_am_admin()) or user_id = (select current_user_id())', writers => 'false');
select confine_to_workspace('credit_ledger',
    readers => '(select i_am_admin()) or user_id = (select current_user_id())', writers => 'false');

grant select on credit_accounts, credit_ledger to messagehub_people;
grant select, insert, update on credit_accounts to messagehub_system;
grant select, insert on credit_ledger to messagehub_system;
