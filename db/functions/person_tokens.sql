-- The words under which a name is found: any part of each word, and the name from each word on without spaces: O'Neill by
-- oneill, Anne-Marie by annemarie, 山田 花子 by 山田花子. Cut at the same length as search terms.
create or replace function person_tokens(content text) returns text[]
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text := fold_text(content);
    pairs text := '';
    words text[];
begin
    if octet_length(folded) <> length(folded) and folded ~ unspaced_scripts() then
        pairs := character_pairs(regexp_replace(folded, '(?<=' || unspaced_scripts() || ')[ -]+(?=' || unspaced_scripts() || ')', '', 'g'), false);
        folded := regexp_replace(folded, unspaced_scripts(), ' ', 'g');
    end if;
    words := array(select left(word, 200) from regexp_split_to_table(folded, '[ -]+') with ordinality as t (word, nth) where word <> '' order by nth);
    words := suffixes_of(words)
        || array(select left(array_to_string(words[nth:], ''), 200) from generate_series(1, cardinality(words) - 1) as nth)
        || array_remove(string_to_array(pairs, ' '), '');
    -- Müller is also found by mueller.
    if octet_length(content) <> length(content) and normalize(content, nfc) ~ '[äöüåøÄÖÜÅØ]' then
        words := words || person_tokens(replace(replace(replace(replace(replace(lower_case(normalize(content, nfc)),
                                                                               'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'å', 'aa'), 'ø', 'oe'));
    end if;
    return words;
end $$;
grant execute on function person_tokens to messagehub_people, messagehub_system;
