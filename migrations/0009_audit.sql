-- Who did what, when, from where; what it was before and is now, without secrets. Written in the transaction of the deed
-- itself, and never changed.
create table audit_log (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    action       text not null check (action ~ '^[a-z_]+$'),
    actor_id     uuid default current_user_id(),     -- null: somebody unproven, or the server itself
    actor_name   text not null default '',           -- as they were called then
    subject      text not null default '',           -- what it was done to, as people call it
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

-- Admins read; everybody writes, and only in their own name.
select confine_to_workspace('audit_log', readers => '(select i_am_admin())', writers => 'actor_id = (select current_user_id())');
grant select, insert on audit_log to messagehub_people, messagehub_system;

create trigger append_only before update or delete on audit_log for each row execute function append_only();
create trigger append_only_whole before truncate on audit_log execute function append_only();
