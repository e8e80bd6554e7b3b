-- Scripts without spaces are indexed by pairs of characters, each preceded by a space. A search leaves out the last character by
-- itself, which adds nothing to the pair before it.
create or replace function pairs_of(folded text, is_sought boolean) returns text
    language plpgsql immutable strict parallel safe
as $$ begin
    return (select coalesce(string_agg(' ' || substr(run[1], at, 2), ''), '')
              from regexp_matches(folded, '(' || unspaced() || '+)', 'g') as run,
                   generate_series(1, greatest(length(run[1]) - case when is_sought then 1 else 0 end, 1)) as at);
end $$;
grant execute on function pairs_of to messagehub_people, messagehub_system;
