-- Every suffix of at least two characters of each word, so that any part of a name is a prefix of a token: okafor, kafor, afor,
-- for, or.
create or replace function suffixes_of(words text[]) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array(select distinct substr(word, at) from unnest(words) as word, generate_series(1, greatest(length(word) - 1, 1)) as at);
end $$;
grant execute on function suffixes_of to messagehub_people, messagehub_system;
