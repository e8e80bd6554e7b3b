-- Workspaces, their members and invitations.

create table workspaces (
    id             uuid primary key,
    name           text not null check (length(name) between 1 and 80),
    slug           text not null check (slug ~ '^[a-z0-9](-?[a-z0-9])*$' and length(slug) <= 60),
    default_region text not null default 'US' check (default_region ~ '^[A-Z]{2}$'), -- of phone numbers without a plus
    created_by     uuid references users on delete set null, -- null: the command line
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    require_two_factor    boolean not null default false,
    starting_credits      integer not null default 0 check (starting_credits between 0 and 1000000),  -- for each new agent
    low_credits_at        integer not null default 10 check (low_credits_at between 0 and 1000000),   -- at or below, the agent is warned
    text_validity_minutes integer not null default 240 check (text_validity_minutes between 5 and 1440),
    failover              boolean not null default false, -- messages of a failing number leave from another one
    opt_out_scope         text not null default 'number' check (opt_out_scope in ('number', 'workspace')),
    constraint workspaces_slug_key unique (slug),
    -- Pages are found by slug or by id: a slug that looks like an id would never be found.
    constraint workspaces_slug_is_no_id check (slug !~ '^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$')
);
create index workspaces_of_creator on workspaces (created_by) where created_by is not null; -- WORKSPACES_PER_PERSON
create index workspaces_with_failover on workspaces (id) where failover;

create table workspace_members (
    workspace_id uuid not null references workspaces on delete cascade,
    user_id      uuid not null references users on delete cascade,
    role         text not null check (role in ('admin', 'agent')),
    created_at   timestamptz not null default now(),
    primary key (workspace_id, user_id)
);
create index workspaces_of_user on workspace_members (user_id); -- sign-in, the workspace switcher

create table invitations (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    email        text not null check (email = lower(email) and email like '%_@_%' and length(email) <= 254),
    role         text not null check (role in ('admin', 'agent')),
    number_ids   uuid[] not null default '{}',       -- assigned on acceptance, those that still exist
    credits      integer check (credits between 0 and 1000000), -- granted on acceptance; null: the workspace's starting credits
    token_hash   bytea not null,                     -- of the link; members' role cannot read it
    invited_by   uuid references users on delete set null,
    expires_at   timestamptz not null,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint invitations_once unique (workspace_id, email)
);
create unique index invitations_by_token on invitations (token_hash);

alter table workspaces enable row level security;
alter table workspaces force row level security;
create policy people_see on workspaces for select to messagehub_people using (id = (select my_workspace()));
create policy people_change on workspaces for update to messagehub_people
    using (id = (select my_workspace()) and (select i_am_admin()));
create policy system on workspaces to messagehub_system using (true) with check (true);

select confine_to_workspace('workspace_members', writers => '(select i_am_admin())');
-- Members may leave by themselves.
alter policy people_remove on workspace_members
    using (workspace_id = (select my_workspace()) and ((select i_am_admin()) or user_id = (select current_user_id())));
select confine_to_workspace('invitations', readers => '(select i_am_admin())', writers => '(select i_am_admin())');

grant select, update on workspaces to messagehub_people;
grant select, insert, update, delete on workspace_members to messagehub_people;
grant select (workspace_id, id, email, role, number_ids, credits, invited_by, expires_at, created_at) on invitations to messagehub_people;
grant insert, update, delete on invitations to messagehub_people;
grant select, insert, update, delete on workspaces, workspace_members to messagehub_system;
grant select, insert, delete on invitations to messagehub_system;
