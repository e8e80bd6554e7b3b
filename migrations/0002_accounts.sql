-- Users and their sessions are global; workspaces and memberships say who may go where.

create table users (
    id                uuid primary key,
    email             text not null check (email = lower(email) and email like '%_@_%' and length(email) <= 254),
    name              text not null check (length(name) between 1 and 120),
    password_hash     text not null,                 -- argon2id, PHC string
    email_verified_at timestamptz,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    constraint users_email_key unique (email)
);

-- A sign-in. Access tokens name it; ending it ends them. A refresh token says of which session and of which generation it is,
-- and is signed: any earlier one that comes again gives a thief away, and only one number is kept here.
create table sessions (
    id                 uuid primary key,
    user_id            uuid not null references users on delete cascade,
    refresh_generation integer not null default 0,
    rotated_at         timestamptz not null default now(),
    expires_at         timestamptz not null,
    revoked_at         timestamptz,
    user_agent         text,
    created_at         timestamptz not null default now()
);
create index sessions_of_user on sessions (user_id);

create table workspaces (
    id             uuid primary key,
    name           text not null check (length(name) between 1 and 80),
    slug           text not null check (slug ~ '^[a-z0-9](-?[a-z0-9])*$' and length(slug) <= 60),
    default_region text not null default 'US' check (default_region ~ '^[A-Z]{2}$'), -- how numbers without + are read
    created_by     uuid references users on delete set null, -- null: the command line
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    constraint workspaces_slug_key unique (slug),
    -- Pages are found by slug or by id: a slug that reads as an id would never be found.
    constraint workspaces_slug_is_no_id check (slug !~ '^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$')
);
create index workspaces_made_by on workspaces (created_by) where created_by is not null; -- WORKSPACES_PER_PERSON

create table workspace_members (
    workspace_id uuid not null references workspaces on delete cascade,
    user_id      uuid not null references users on delete cascade,
    role         text not null check (role in ('admin', 'agent')),
    created_at   timestamptz not null default now(),
    primary key (workspace_id, user_id)
);
create index workspaces_of_user on workspace_members (user_id); -- sign-in, the switcher

-- The proofs that the policies ask for. They run as the system role, for a person cannot read the rows that decide
-- what that person can read. In PL/pgSQL, which plans them once per connection; in SQL they were planned anew in every
-- statement, which took longer than most statements themselves.
grant create on schema public to messagehub_system;

create function my_workspace() returns uuid
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return (select workspace_id from workspace_members
             where workspace_id = current_workspace() and user_id = current_user_id());
end $$;

create function i_am_admin() returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from workspace_members
                    where workspace_id = current_workspace() and user_id = current_user_id() and role = 'admin');
end $$;

-- Whether `someone` belongs to the workspace I work in.
create function works_with_me(someone uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from workspace_members
                    where workspace_id = my_workspace() and user_id = someone);
end $$;

grant execute on function my_workspace(), i_am_admin(), works_with_me(uuid) to messagehub_people, messagehub_system;
alter function my_workspace() owner to messagehub_system;
alter function i_am_admin() owner to messagehub_system;
alter function works_with_me(uuid) owner to messagehub_system;

select confine_to_workspace('workspace_members', writers => '(select i_am_admin())');

alter table workspaces enable row level security;
alter table workspaces force row level security;
create policy people_see on workspaces for select to messagehub_people using (id = (select my_workspace()));
create policy people_change on workspaces for update to messagehub_people
    using (id = (select my_workspace()) and (select i_am_admin()));
create policy system on workspaces to messagehub_system using (true) with check (true);

alter table users enable row level security;
alter table users force row level security;
create policy people_see on users for select to messagehub_people
    using (id = (select current_user_id()) or works_with_me(id));
create policy system on users to messagehub_system using (true) with check (true);

alter table sessions enable row level security;
alter table sessions force row level security;
create policy system on sessions to messagehub_system using (true) with check (true);

grant select (id, name, email, created_at) on users to messagehub_people;
grant select, update on workspaces to messagehub_people;
grant select, insert, update, delete on workspace_members to messagehub_people;
grant select, insert, update on users, sessions, workspaces, workspace_members to messagehub_system;
grant delete on sessions to messagehub_system;
