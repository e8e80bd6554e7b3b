-- A page of the contacts that match a search, newest first. Tries the newest contacts before the index, which finds common
-- words in too many rows.
create or replace function find_contacts(q text, q_numbers text[], before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    scopes constant text[] := my_search_scopes();
    terms constant text[] := people_terms(q, q_numbers);
    asked tsquery;
    selective tsquery;
    edge uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    step integer;
    found integer := 0;
    more integer;
begin
    if workspace is null or terms = '{}' then
        return;
    end if;
    asked := scoped_query(scopes, terms);
    selective := scoped_query(scopes, selective_terms(terms));
    foreach step in array array[200, 2800] loop
        return query
            select w.id from (select n.id, n.words from contact_tokens n
                               where n.workspace_id = workspace and n.id < edge
                               order by n.id desc limit step) w
             where w.words @@ asked
             limit many - found;
        get diagnostics more = row_count;
        found := found + more;
        if found >= many then
            return;
        end if;
        edge := (select n.id from contact_tokens n
                  where n.workspace_id = workspace and n.id < edge
                  order by n.id desc offset step - 1 limit 1);
        if edge is null then
            return;
        end if;
        exit when found = 0;
    end loop;
    return query
        -- `offset 0` keeps the planner from choosing another index.
        select h.id
          from (select n.workspace_id, n.id from contact_tokens n
                 where n.words @@ selective and (selective = asked or n.words @@ asked) offset 0) h
         where h.workspace_id = workspace and h.id < edge
         order by h.id desc limit many - found;
end $$;
alter function find_contacts owner to messagehub_system;
grant execute on function find_contacts to messagehub_people;
