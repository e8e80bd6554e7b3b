-- The last digits of an id: the prefix of every token, which says to whom it belongs.
create or replace function search_scope(id uuid) returns text
    language sql immutable strict parallel safe
as $$ select right(id::text, 8) $$;
grant execute on function search_scope to messagehub_people, messagehub_system;
