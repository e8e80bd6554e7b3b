-- The words of a text, as an array.
create or replace function words_of(content text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array_remove(string_to_array(spaced(content), ' '), '');
end $$;
grant execute on function words_of to messagehub_people, messagehub_system;
