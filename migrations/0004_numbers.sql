-- A workspace's accounts at providers, and their numbers: the unit of access.

create table integrations (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    provider     text not null check (provider ~ '^[a-z]+$'),
    name         text not null check (length(name) between 1 and 80),
    account      text not null,                      -- the provider's public name of the account
    hint         text not null default '',           -- the last four characters of the secret, the only part ever shown
    credentials  bytea,                              -- sealed; members' role cannot read it
    status       text not null default 'healthy' check (status in ('healthy', 'unhealthy')),
    status_reason text,                              -- a sentence for admins
    is_active    boolean not null default true,
    checked_at   timestamptz not null default now(), -- when the provider last accepted the credentials
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    disconnected_at    timestamptz,                  -- for good: the row stays for its messages, the credentials do not
    -- The previous credentials. A provider signs with them for a while after a change, so until `former_until` they verify
    -- webhooks, and are used for nothing else. Members' role cannot read them.
    former_credentials bytea,
    former_until       timestamptz,
    held_until   timestamptz not null default '-infinity', -- the provider asked the whole account to wait
    usage_due_at timestamptz not null default now(), -- when to fetch charges next; moved on by the server that fetches
    usage_until  date,                               -- the last day that was fetched
    usage_error  text,                               -- why the last fetch failed, as a sentence
    primary key (workspace_id, id),
    constraint integrations_disconnected_without_credentials
        check ((credentials is null) = (disconnected_at is not null) and (disconnected_at is null or not is_active)),
    constraint integrations_former_have_an_end
        check ((former_credentials is null) = (former_until is null) and (disconnected_at is null or former_until is null))
);
create unique index integrations_account_once on integrations (workspace_id, provider, account)
    where is_active and provider <> 'sandbox';
create index integrations_by_account on integrations (provider, account) where is_active; -- webhook look-up
create index integrations_by_id on integrations (id);                                     -- webhook look-up, own URL
create index integrations_usage_due on integrations (usage_due_at) where is_active;

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
    webhook         text not null default 'unset' check (webhook in ('configured', 'overridden', 'failed', 'unset')),
    webhook_detail  text,                            -- what overrides it, or why it could not be set
    previous_webhook_url text,                       -- the setting before ours, to be restored
    last_inbound_at timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    -- Providers retry for seconds only, so an outage of ours loses inbound messages. Their lists still have them: the messages
    -- of every number are compared with its provider's list from time to time.
    compared_until       timestamptz,                       -- until then we have everything that the provider has
    catch_up_at     timestamptz not null default now(), -- when to compare next; moved on by the server that compares
    last_missed_at  timestamptz,                       -- the newest message found by comparing, not by webhook
    gone_at         timestamptz,                       -- the provider's account no longer has the number; a sync leaves numbers
                                                       -- that an admin switched off alone
    messages_per_second double precision check (messages_per_second between 0.01 and 1000), -- null: `default_send_rate`
    primary key (workspace_id, id),
    foreign key (workspace_id, integration_id) references integrations on delete cascade,
    constraint numbers_once unique (workspace_id, integration_id, phone_number),
    constraint numbers_gone_are_inactive check (gone_at is null or (status = 'inactive' and not is_default))
);
create unique index numbers_one_default on numbers (workspace_id) where is_default;
create index numbers_by_phone on numbers (phone_number); -- webhook look-up
-- By integration: one whose provider hangs gets only as many comparisons as it has free slots, however long its queue.
create index numbers_to_catch_up on numbers (workspace_id, integration_id, catch_up_at) where status = 'active' and sms;

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

-- A token bucket of one second's worth of messages for each number that ever sent, shared by all servers.
create table number_buckets (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    number_id    uuid not null,
    refilled_at      timestamptz not null default 'epoch',     -- when the bucket is full again
    held_until   timestamptz not null default '-infinity', -- the provider asked this number to wait
    primary key (workspace_id, number_id),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);

select confine_to_workspace('integrations', writers => '(select i_am_admin())');
select confine_to_workspace('numbers', readers => 'id = any ((select my_numbers())::uuid[])', writers => '(select i_am_admin())');
select confine_to_workspace('number_members', writers => '(select i_am_admin())');
select confine_to_workspace('number_buckets', readers => 'number_id = any ((select my_numbers())::uuid[])', writers => '(select i_am_admin())');

grant select (workspace_id, id, provider, name, account, hint, status, status_reason, is_active, checked_at, created_at, updated_at,
              disconnected_at, usage_until, usage_error)
    on integrations to messagehub_people;
grant insert, update, delete on integrations to messagehub_people;
grant select, insert, update, delete on numbers, number_members to messagehub_people;
grant select, update on number_buckets to messagehub_people;
grant select, insert, update on integrations, numbers, number_members, number_buckets to messagehub_system;
