-- How many rows a list reads at most when no index serves its filter. A page that is not full by then says where to continue.
create or replace function most_walked() returns integer
    language sql immutable parallel safe
as $$ select 4000 $$;
grant execute on function most_walked to messagehub_system;
