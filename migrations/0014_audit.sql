-- The audit log, and the log of uses of credentials.

-- Who did what, when and from where; the values before and after, without secrets. Written in the transaction of the action.
-- Append-only, by the triggers of `refuse_change_of_append_only`.
create table audit_log (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    action       text not null check (action ~ '^[a-z_]+$'),
    actor_id     uuid default current_user_id(),     -- null: nobody signed in, or the server itself
    actor_name   text not null default '',           -- at that time
    subject      text not null default '',           -- its name for people
    subject_id   uuid,
    address      text default current_address(),
    before       jsonb,
    after        jsonb,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id)
);
create index audit_newest on audit_log (workspace_id, created_at desc, id desc);
create index audit_of_actor on audit_log (workspace_id, actor_id, created_at desc, id desc);
create index audit_of_action on audit_log (workspace_id, action, created_at desc, id desc);

-- Uses of the credentials of integrations: one row for each hour, purpose and user, with a count.
create table credential_access_log (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    id             uuid not null default new_id(),
    integration_id uuid not null,
    purpose        text not null check (purpose ~ '^[a-z_]+$'),
    actor_id       uuid,                             -- the admin who caused it; null: the server itself
    actor_name     text not null default '',         -- at that time
    hour           timestamptz not null,             -- its beginning
    uses           bigint not null check (uses > 0),
    last_at        timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, integration_id) references integrations on delete cascade
);
-- `null` counts as one user; PostgreSQL 14 has no `nulls not distinct`.
create unique index credential_access_once on credential_access_log
    (workspace_id, hour, integration_id, purpose, coalesce(actor_id, '00000000-0000-0000-0000-000000000000'));
create index credential_access_newest on credential_access_log (workspace_id, hour desc, id desc);
create index credential_access_old on credential_access_log (hour); -- housekeeping

-- Admins read the audit log; members write in their own name only.
select confine_to_workspace('audit_log', readers => '(select i_am_admin())', writers => 'actor_id = (select current_user_id())');
select confine_to_workspace('credential_access_log', readers => '(select i_am_admin())', writers => 'false');

grant select, insert on audit_log to messagehub_people, messagehub_system;
grant select on credential_access_log to messagehub_people;
grant select, insert, update, delete on credential_access_log to messagehub_system;
