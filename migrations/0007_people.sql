-- Who is invited, who stays, and how each one likes it.

-- A UUIDv7, for rows that the database makes by itself.
create function new_id() returns uuid
    language sql volatile parallel safe
    return encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
        from 1 for 6), 52, 1), 53, 1), 'hex')::uuid;
grant execute on function new_id() to messagehub_people, messagehub_system;

-- Where the person of this transaction sits, for the audit log.
create function current_address() returns text
    language sql stable parallel safe
    return nullif(current_setting('app.address', true), '');
grant execute on function current_address() to messagehub_people, messagehub_system;

alter table workspaces
    add column require_two_factor boolean not null default false,
    add column starting_credits   integer not null default 0 check (starting_credits between 0 and 1000000),  -- for each new agent
    add column low_credits_at     integer not null default 10 check (low_credits_at between 0 and 1000000);   -- an agent is told
grant delete on workspaces, workspace_members to messagehub_system;

create table invitations (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    email        text not null check (email = lower(email) and email like '%_@_%' and length(email) <= 254),
    role         text not null check (role in ('admin', 'agent')),
    number_ids   uuid[] not null default '{}',       -- assigned on arrival, those that there still are
    token_hash   bytea not null,                     -- the link's; people's role cannot read it
    invited_by   uuid references users on delete set null,
    expires_at   timestamptz not null,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint invitations_once unique (workspace_id, email)
);
create unique index invitations_by_token on invitations (token_hash);
select confine_to_workspace('invitations', readers => '(select i_am_admin())', writers => '(select i_am_admin())');
grant select (workspace_id, id, email, role, number_ids, invited_by, expires_at, created_at) on invitations to messagehub_people;
grant insert, update, delete on invitations to messagehub_people;
grant select, insert, delete on invitations to messagehub_system;

-- Whoever wants to leave may.
drop policy people_remove on workspace_members;
create policy people_remove on workspace_members for delete to messagehub_people
    using (workspace_id = (select my_workspace())
           and ((select i_am_admin()) or user_id = (select current_user_id())));

-- A workspace keeps an admin. The lock makes two who go at the same moment go one after the other; a stronger one would wait
-- for the keys of the audit entries that both have written, and neither would go.
create function keep_an_admin() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform from workspaces where id = old.workspace_id for no key update;
    if found and not exists (select from workspace_members where workspace_id = old.workspace_id and role = 'admin') then
        raise exception 'a workspace keeps an admin' using errcode = 'check_violation', constraint = 'workspace_keeps_an_admin';
    end if;
    return null;
end $$;
create trigger workspace_keeps_an_admin after update of role or delete on workspace_members
    for each row when (old.role = 'admin') execute function keep_an_admin();

create table member_settings (
    workspace_id          uuid not null default current_workspace() references workspaces on delete cascade,
    user_id               uuid not null,
    default_number_id     uuid,
    signature             text not null default '' check (length(signature) <= 160),
    desktop_notifications boolean not null default false,
    sound                 boolean not null default false,
    mail_when_credits_low boolean not null default true,
    single_key_shortcuts  boolean not null default true, -- people who dictate switch them off: each spoken letter would be a command
    updated_at            timestamptz not null default now(),
    primary key (workspace_id, user_id),
    foreign key (workspace_id, user_id) references workspace_members on delete cascade,
    foreign key (workspace_id, default_number_id) references numbers on delete set null (default_number_id)
);
select confine_to_workspace('member_settings',
    readers => '(select i_am_admin()) or user_id = (select current_user_id())',
    writers => '(select i_am_admin()) or user_id = (select current_user_id())');
grant select, insert, update on member_settings to messagehub_people;
grant select on member_settings to messagehub_system;

grant create on schema public to messagehub_system;
alter function keep_an_admin() owner to messagehub_system;
revoke create on schema public from messagehub_system;
