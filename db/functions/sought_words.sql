-- The search terms of a query for `asks_for`: words joined by a hyphen stay joined and match either way.
create or replace function sought_words(q text) returns text[]
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text := fold_text(q);
    pairs text := '';
begin
    if octet_length(folded) <> length(folded) and folded ~ unspaced() then
        pairs := pairs_of(folded, true);
        folded := regexp_replace(folded, unspaced(), ' ', 'g');
    end if;
    return array(select distinct left(word, 200)
                   from string_to_table(folded || pairs, ' ') as chunk, btrim(regexp_replace(chunk, '-+', '-', 'g'), '-') as word
                  where word <> '');
end $$;
grant execute on function sought_words to messagehub_people, messagehub_system;
