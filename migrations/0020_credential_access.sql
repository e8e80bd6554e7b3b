-- What the credentials of integrations were used for: one row per hour, purpose and person, with how often.
create table credential_access_log (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    id             uuid not null default new_id(),
    integration_id uuid not null,
    purpose        text not null check (purpose ~ '^[a-z_]+$'),
    actor_id       uuid,                             -- the admin who asked for it; null: the server by itself
    actor_name     text not null default '',         -- as they were called then
    hour           timestamptz not null,             -- its beginning
    uses           bigint not null check (uses > 0),
    last_at        timestamptz not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, integration_id) references integrations on delete cascade
);
-- One row for each; `null` is one person, too (PostgreSQL 14 cannot say `nulls not distinct`).
create unique index credential_access_once on credential_access_log
    (workspace_id, hour, integration_id, purpose, coalesce(actor_id, '00000000-0000-0000-0000-000000000000'));
create index credential_access_newest on credential_access_log (workspace_id, hour desc, id desc);
create index credential_access_old on credential_access_log (hour); -- housekeeping

select confine_to_workspace('credential_access_log', readers => '(select i_am_admin())', writers => 'false');
grant select on credential_access_log to messagehub_people;
grant select, insert, update, delete on credential_access_log to messagehub_system;
