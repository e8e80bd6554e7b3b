-- The step of `conversations.listed_at` that holds a time.
create or replace function list_step(at timestamptz) returns timestamptz
    language sql immutable strict parallel safe
as $$ select case when isfinite(at) then date_bin('10 seconds', at, '2000-01-01 00:00:00+00') else at end $$;
grant execute on function list_step to messagehub_people, messagehub_system;
