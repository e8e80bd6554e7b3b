-- The tokens of a text within a scope. Words are cut at 200 characters, as search terms are.
create or replace function scoped_tokens_of(scope text, content text) returns tsvector
    language plpgsql immutable strict parallel safe
as $$
declare
    spaced constant text := spaced_tokens(content);
begin
    if octet_length(spaced) > 1500 then
        return array_to_tsvector(array(select scope || left(word, 200) from string_to_table(spaced, ' ') as word where word <> ''));
    end if;
    return array_to_tsvector(array_remove(string_to_array(scope || replace(spaced, ' ', ' ' || scope), ' '), scope));
end $$;
grant execute on function scoped_tokens_of to messagehub_people, messagehub_system;
