-- needed by migrations
-- The workspace in which the transaction works. Set when it opens; null: row-level security shows no rows.
create or replace function current_workspace() returns uuid
    language sql stable parallel safe
as $$ select nullif(current_setting('app.workspace_id', true), '')::uuid $$;
grant execute on function current_workspace to messagehub_people, messagehub_system;
