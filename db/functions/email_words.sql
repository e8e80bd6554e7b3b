-- The words under which an e-mail address is found: prefixes of its words, and, marked with `@` for contact lists, any part of
-- them.
create or replace function email_words(email text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return words_of(email) || array(select '@' || word from unnest(ends_of(words_of(email))) as word);
end $$;
grant execute on function email_words to messagehub_people, messagehub_system;
