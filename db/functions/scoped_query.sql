-- The tsquery for `terms`, each of them as a prefix, within `scopes`. `a|b` matches either; `a-b` matches both words or the two as
-- one word. Tokens contain neither quotes nor backslashes. Null if there are no terms.
create or replace function scoped_query(scopes text[], terms text[]) returns tsquery
    language plpgsql immutable strict parallel safe
as $$ begin
    return (select string_agg('(' || (select string_agg(
                       case when strpos(term, '|') > 0 then '(''' || scope || replace(term, '|', ''':* | ''' || scope) || ''':*)'
                            when strpos(term, '-') > 0
                            then '((''' || scope || replace(term, '-', ''':* & ''' || scope) || ''':*) | ''' || scope || replace(term, '-', '') || ''':*)'
                            else '''' || scope || term || ''':*' end, ' & ') from unnest(terms) as term) || ')', ' | ')
              from unnest(scopes) as scope)::tsquery;
end $$;
grant execute on function scoped_query to messagehub_people, messagehub_system;
