-- Scripts without spaces are indexed by pairs of characters, each preceded by a space. A search leaves out the last character by
-- itself, which adds nothing to the pair before it.
create or replace function character_pairs(folded text, contact_matches boolean) returns text
    language plpgsql immutable strict parallel safe
as $$ begin
    return (select coalesce(string_agg(' ' || substr(run[1], at, 2), ''), '')
              from regexp_matches(folded, '(' || unspaced_scripts() || '+)', 'g') as run,
                   generate_series(1, greatest(length(run[1]) - case when contact_matches then 1 else 0 end, 1)) as at);
end $$;
grant execute on function character_pairs to messagehub_people, messagehub_system;
