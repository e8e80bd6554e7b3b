-- needed by migrations
-- The IP address of the current request, for the audit log.
create or replace function current_address() returns text
    language sql stable parallel safe
as $$ select nullif(current_setting('app.address', true), '') $$;
grant execute on function current_address to messagehub_people, messagehub_system;
