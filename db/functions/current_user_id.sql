-- needed by migrations
-- The user for whom the transaction works. Set when it opens; null: no user.
create or replace function current_user_id() returns uuid
    language sql stable parallel safe
as $$ select nullif(current_setting('app.user_id', true), '')::uuid $$;
grant execute on function current_user_id to messagehub_people, messagehub_system;
