-- How many rows a list reads at most when no index serves its filter. A page that is not full by then says where to continue.
create or replace function max_rows_scanned() returns integer
    language sql immutable parallel safe
as $$ select 4000 $$;
grant execute on function max_rows_scanned to messagehub_system;
