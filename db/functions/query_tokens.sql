-- The search terms of a query for `scoped_query`: words joined by a hyphen stay joined and match either way.
create or replace function query_tokens(q text) returns text[]
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text := fold_text(q);
    pairs text := '';
begin
    if octet_length(folded) <> length(folded) and folded ~ unspaced_scripts() then
        pairs := character_pairs(folded, true);
        folded := regexp_replace(folded, unspaced_scripts(), ' ', 'g');
    end if;
    return array(select distinct left(word, 200)
                   from string_to_table(folded || pairs, ' ') as chunk, btrim(regexp_replace(chunk, '-+', '-', 'g'), '-') as word
                  where word <> '');
end $$;
grant execute on function query_tokens to messagehub_people, messagehub_system;
