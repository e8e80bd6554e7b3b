-- The words under which an e-mail address is found: prefixes of its words, and, marked with `@` for contact lists, any part of
-- them.
create or replace function email_tokens(email text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return tokens_of(email) || array(select '@' || word from unnest(suffixes_of(tokens_of(email))) as word);
end $$;
grant execute on function email_tokens to messagehub_people, messagehub_system;
