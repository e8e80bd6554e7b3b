-- Whether the index narrows by this term: prefixes of one or two characters match about half of all rows.
create or replace function is_selective(term text) returns boolean
    language plpgsql immutable strict parallel safe
as $$ begin
    return not exists (select from string_to_table(term, '|') as word where length(word) <= 2 and word <= '~');
end $$;
grant execute on function is_selective to messagehub_people, messagehub_system;
