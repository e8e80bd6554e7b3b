-- A workspace's accounts at providers, and the numbers they bring: the unit of access.

create table integrations (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    provider     text not null check (provider ~ '^[a-z]+$'),
    name         text not null check (length(name) between 1 and 80),
    account      text not null,                      -- the provider's public name for the account
    hint         text not null default '',           -- the secret's last four characters, all that is ever shown of it
    credentials  bytea not null,                     -- sealed; people's role cannot read it
    status       text not null default 'healthy' check (status in ('healthy', 'unhealthy')),
    status_reason text,                              -- in words, for admins
    is_active    boolean not null default true,
    checked_at   timestamptz not null default now(), -- when the provider last accepted the credentials
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (workspace_id, id)
);
create unique index integrations_account_once on integrations (workspace_id, provider, account)
    where is_active and provider <> 'sandbox';
create index integrations_by_account on integrations (provider, account) where is_active; -- webhook look-up
create index integrations_by_id on integrations (id);                                     -- webhook look-up, own URL

create table numbers (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null,
    integration_id  uuid not null,
    provider_number_id text not null,                -- Twilio's PN…
    phone_number    text not null check (is_address(phone_number)),
    friendly_name   text not null default '' check (length(friendly_name) <= 80),
    sms             boolean not null default false,
    mms             boolean not null default false,
    voice           boolean not null default false,
    is_default      boolean not null default false,
    status          text not null default 'active' check (status in ('active', 'pending', 'inactive')),
    webhook         text not null default 'unset' check (webhook in ('configured', 'shadowed', 'failed', 'unset')),
    webhook_detail  text,                            -- who overrides it, or why it could not be set
    previous_webhook_url text,                       -- what was there before us, so that it can be put back
    last_inbound_at timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, integration_id) references integrations on delete cascade,
    constraint numbers_once unique (workspace_id, integration_id, phone_number)
);
create unique index numbers_one_default on numbers (workspace_id) where is_default;
create index numbers_by_phone on numbers (phone_number); -- webhook look-up

create table number_members (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    number_id    uuid not null,
    user_id      uuid not null,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, number_id, user_id),
    foreign key (workspace_id, number_id) references numbers on delete cascade,
    foreign key (workspace_id, user_id) references workspace_members on delete cascade
);
create index numbers_of_member on number_members (workspace_id, user_id);

-- What an agent may see is decided here, once: an admin's numbers are all, an agent's those assigned.
create function my_numbers() returns uuid[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    -- The role is looked up once per call, not once per number: every policy of every sub-query calls this.
    if i_am_admin() then
        return array(select n.id from numbers n where n.workspace_id = current_workspace());
    end if;
    return array(select a.number_id from number_members a
                  where a.workspace_id = my_workspace() and a.user_id = current_user_id());
end $$;
grant execute on function my_numbers() to messagehub_people, messagehub_system;
alter function my_numbers() owner to messagehub_system;
revoke create on schema public from messagehub_system;

select confine_to_workspace('integrations', writers => '(select i_am_admin())');
select confine_to_workspace('numbers', readers => 'id = any ((select my_numbers())::uuid[])', writers => '(select i_am_admin())');
select confine_to_workspace('number_members', writers => '(select i_am_admin())');

grant select (workspace_id, id, provider, name, account, hint, status, status_reason, is_active, checked_at, created_at, updated_at)
    on integrations to messagehub_people;
grant insert, update, delete on integrations to messagehub_people;
grant select, insert, update, delete on numbers, number_members to messagehub_people;
grant select, insert, update on integrations, numbers, number_members to messagehub_system;
