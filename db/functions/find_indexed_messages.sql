-- A page of the indexed messages that match a search, newest first. The newest 500 are read first: common words are soon found there. Then
-- the index is asked for one part of each number's messages after the other (see `search_part_scope`), those that reach the newest
-- messages first, until a page is complete above all that is left. So a page costs about as many rows as the parts that it comes
-- from hold, and rare words cost one index look-up for each part. The number is checked before the words, so that the content of
-- messages that the caller may not see does not change the cost.
create or replace function find_indexed_messages(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_sort = on
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    terms constant text[] := (query_tokens(q))[:12];
    newest constant integer := 500;
    -- The query with a placeholder for the scope: no token contains `!`.
    template constant text := scoped_query(array['!'], terms)::text;
    asked tsquery;
    edge uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    scopes text[];
    reaches uuid[];
    found uuid[];
    done integer := 0;
    step integer := 1;
begin
    if workspace is null or terms = '{}' or numbers = '{}' then
        return;
    end if;
    scopes := array(
        select distinct search_part_scope(w.number_id, w.part)
          from (select n.number_id, n.part from message_tokens n
                 where n.workspace_id = workspace and n.id < edge
                 order by n.id desc limit newest) w
         where w.number_id = any (numbers));
    asked := scoped_query(scopes, terms);
    found := array(
        select w.id from (select n.id, n.number_id, n.words from message_tokens n
                           where n.workspace_id = workspace and n.id < edge
                           order by n.id desc limit newest) w
         where case when w.number_id = any (numbers) then w.words @@ asked end
         limit many);
    return query select f from unnest(found) as f;
    if cardinality(found) >= many then
        return;
    end if;
    many := many - cardinality(found);
    found := '{}';
    edge := (select n.id from message_tokens n
              where n.workspace_id = workspace and n.id < edge
              order by n.id desc offset newest - 1 limit 1);
    if edge is null then
        return;
    end if;
    select array_agg(search_part_scope(n.number, p.part) order by r.id desc), array_agg(r.id order by r.id desc)
      into scopes, reaches
      from unnest(numbers) as n (number)
     cross join lateral (select w.part from message_tokens w
                          where w.workspace_id = workspace and w.number_id = n.number
                          order by w.part desc limit 1) t
     cross join lateral generate_series(0, t.part) as p (part)
     -- In the order of the index message_tokens_parts, so that a plan made while the table was small uses it too.
     cross join lateral (select w.part, w.id from message_tokens w
                          where w.workspace_id = workspace and w.number_id = n.number and (w.part, w.id) < (p.part, edge)
                          order by w.part desc, w.id desc limit 1) r
     where r.part = p.part;
    while done < cardinality(scopes) loop
        found := array(
            select h.id
              from (select f from unnest(found) as f
                    union all
                    select w.id
                      from unnest(scopes[done + 1:done + step]) as s (scope)
                     cross join lateral (select n.workspace_id, n.id, n.number_id from message_tokens n
                                          where n.words @@ replace(template, '!', s.scope)::tsquery offset 0) w
                     where w.workspace_id = workspace and w.number_id = any (numbers) and w.id < edge) h (id)
             order by h.id desc limit many);
        done := done + step;
        exit when found[many] > reaches[done + 1];
        -- With a full page, the next part may be the last one needed.
        step := case when found[many] is null then least(step * 2, 64) else 1 end;
    end loop;
    return query select f from unnest(found) as f;
end $$;
alter function find_indexed_messages owner to messagehub_system;
