-- Tokens for `words` in each of `scopes`.
create or replace function scoped_tokens(scopes text[], words text[]) returns tsvector
    language plpgsql immutable strict parallel safe
as $$ begin
    return array_to_tsvector(array(select scope || word from unnest(scopes) as scope, unnest(words) as word));
end $$;
grant execute on function scoped_tokens to messagehub_people, messagehub_system;
