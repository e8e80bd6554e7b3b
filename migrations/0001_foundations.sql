-- What every later table stands on: two roles, the tenant of the transaction, and the wall around a tenant's rows.

-- People's requests run as messagehub_people; work that has no person (webhook ingest, the send worker, sign-in)
-- as messagehub_system. Neither can log in, owns a table or bypasses row-level security: the server's own login
-- takes their part per connection. Roles belong to the whole cluster, so another database may have made them.
do $$
begin
    if not exists (select from pg_roles where rolname = 'messagehub_people') then
        create role messagehub_people nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'messagehub_system') then
        create role messagehub_system nologin;
    end if;
exception when duplicate_object or unique_violation then
    null; -- another database's migration made them this instant
end $$;
grant messagehub_people, messagehub_system to current_user;

-- Nobody but the two roles (and the owner) reaches the schema's functions and tables.
alter default privileges revoke execute on functions from public;
grant usage on schema public to messagehub_people, messagehub_system;

-- Search by any part of a name or number.
create extension if not exists pg_trgm;

-- Who the transaction works for, and in which workspace. Set once when it opens; null means: no rows at all.
create function current_workspace() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('app.workspace_id', true), '')::uuid;

create function current_user_id() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('app.user_id', true), '')::uuid;

grant execute on function current_workspace(), current_user_id() to messagehub_people, messagehub_system;

-- E.164, a short code, a sender's name, or whatever else a network calls a sender: 1 to 120 characters that can be seen.
create function is_address(address text) returns boolean
    language sql immutable strict parallel safe
    return char_length(address) between 1 and 120 and address !~ '[\x01-\x1f\x7f\u0080-\u009f]';
grant execute on function is_address(text) to messagehub_people, messagehub_system;

-- Row-level security, forced, on a table with a workspace_id. People see and write rows of the workspace they work in,
-- and only as its members; `readers` and `writers` narrow that further. What a policy asks is asked once per statement
-- (an init-plan), never per row. The system role is held by its grants.
create function confine_to_workspace(tenant_table regclass, readers text default 'true', writers text default 'true')
    returns void
    language plpgsql
as $$
declare
    ours constant text := 'workspace_id = (select my_workspace())';
begin
    execute format('alter table %s enable row level security', tenant_table);
    execute format('alter table %s force row level security', tenant_table);
    execute format('create policy people_see on %s for select to messagehub_people using (%s and (%s))',
                   tenant_table, ours, readers);
    execute format('create policy people_add on %s for insert to messagehub_people with check (%s and (%s))',
                   tenant_table, ours, writers);
    execute format('create policy people_change on %s for update to messagehub_people using (%s and (%s)) with check (%s and (%s))',
                   tenant_table, ours, writers, ours, writers);
    execute format('create policy people_remove on %s for delete to messagehub_people using (%s and (%s))',
                   tenant_table, ours, writers);
    execute format('create policy system on %s to messagehub_system using (true) with check (true)', tenant_table);
end $$;
