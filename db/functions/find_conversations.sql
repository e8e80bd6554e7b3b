-- A page of the conversations whose contact matches a search, by the newest message.
create or replace function find_conversations(q text, q_numbers text[], before_at timestamptz, before_id uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    is_admin constant boolean := i_am_admin();
    statuses constant text[] := array['open', 'pending', 'snoozed', 'done'];
    scopes constant text[] := my_search_scopes();
    terms constant text[] := people_terms(q, q_numbers);
    asked tsquery;
    selective tsquery;
    edge_at timestamptz := coalesce(before_at, 'infinity');
    edge_id uuid := coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    newest uuid[];
    step integer;
    found integer := 0;
    more integer;
begin
    if workspace is null or terms = '{}' or numbers = '{}' then
        return;
    end if;
    asked := scoped_query(scopes, terms);
    selective := scoped_query(scopes, selective_terms(terms));
    foreach step in array array[100, 900] loop
        -- One short scan for each status, and for agents for each number.
        if is_admin then
            newest := array(
                select v.id
                  from unnest(statuses) as s (status)
                 cross join lateral (select v.id, v.last_message_at from conversations v
                                      where v.workspace_id = workspace and v.status = s.status
                                        and v.listed_at <= list_step(edge_at) and (v.last_message_at, v.id) < (edge_at, edge_id)
                                      order by v.listed_at desc, v.last_message_at desc, v.id desc limit step) v
                 order by v.last_message_at desc, v.id desc limit step);
        else
            newest := array(
                select v.id
                  from unnest(numbers) as n (number) cross join unnest(statuses) as s (status)
                 cross join lateral (select v.id, v.last_message_at from conversations v
                                      where v.workspace_id = workspace and v.number_id = n.number and v.status = s.status
                                        and v.listed_at <= list_step(edge_at) and (v.last_message_at, v.id) < (edge_at, edge_id)
                                      order by v.listed_at desc, v.last_message_at desc, v.id desc limit step) v
                 order by v.last_message_at desc, v.id desc limit step);
        end if;
        return query
            select v.id
              from unnest(newest) with ordinality as n (id, place)
              join conversations v on v.workspace_id = workspace and v.id = n.id
              join contact_tokens w on w.workspace_id = workspace and w.id = v.contact_id
             where w.words @@ asked
             order by n.place
             limit many - found;
        get diagnostics more = row_count;
        found := found + more;
        if found >= many or cardinality(newest) < step then
            return;
        end if;
        select v.last_message_at, v.id into edge_at, edge_id
          from conversations v where v.workspace_id = workspace and v.id = newest[step];
        exit when found = 0;
    end loop;
    return query
        select v.id
          from (select n.workspace_id, n.id from contact_tokens n
                 where n.words @@ selective and (selective = asked or n.words @@ asked) offset 0) h
          join conversations v on v.workspace_id = workspace and v.contact_id = h.id and v.number_id = any (numbers)
         where h.workspace_id = workspace
           and (v.last_message_at, v.id) < (edge_at, edge_id)
         order by v.last_message_at desc, v.id desc limit many - found;
end $$;
alter function find_conversations owner to messagehub_system;
grant execute on function find_conversations to messagehub_people;
