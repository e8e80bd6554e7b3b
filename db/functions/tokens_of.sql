-- The words of a text, as an array.
create or replace function tokens_of(content text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array_remove(string_to_array(spaced_tokens(content), ' '), '');
end $$;
grant execute on function tokens_of to messagehub_people, messagehub_system;
