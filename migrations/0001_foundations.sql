-- The two roles that the server works as, and what it keeps about db/functions.

-- Requests of members run as messagehub_people; work without a user (webhook ingest, the sender, sign-in) as messagehub_system.
-- Neither can log in, owns a table or bypasses row-level security: the server's own login sets the role on each connection.
-- Roles belong to the whole cluster, so another database may have created them.
do $$
begin
    if not exists (select from pg_roles where rolname = 'messagehub_people') then
        create role messagehub_people nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'messagehub_system') then
        create role messagehub_system nologin;
    end if;
exception when duplicate_object or unique_violation then
    null; -- another database's migration created them at the same moment
end $$;
grant messagehub_people, messagehub_system to current_user;

-- Only the two roles and the owner reach the schema's functions and tables.
alter default privileges revoke execute on functions from public;
grant usage on schema public to messagehub_people, messagehub_system;

-- The files of db/functions as they were applied last. Only the owner reads and writes this table.
create table schema_functions (
    name text primary key,                           -- of the file and of its function
    hash bytea not null                              -- SHA-256 of the file
);
