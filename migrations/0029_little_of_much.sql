-- Whoever sees little of a big inbox does not pay for all of it: a list is walked number by number where that is shorter, and a
-- search that finds nothing among the newest texts asks the index at once.

create index conversations_of_number on conversations (workspace_id, number_id, status, last_message_at desc, id desc); -- an agent's list
create index conversations_unread on conversations (workspace_id, number_id, status, last_message_at desc, id desc)
    where unread_count > 0;                                                                        -- "Unread", and its count
drop index conversations_of_assignee;
create index conversations_of_assignee on conversations (workspace_id, assignee_id, number_id, status, last_message_at desc, id desc)
    where assignee_id is not null;                                                                 -- "Mine", and its count
create index conversations_of_nobody on conversations (workspace_id, number_id, status, last_message_at desc, id desc)
    where assignee_id is null;

drop index messages_to_come;
create index messages_to_come on messages (workspace_id, number_id, scheduled_at, id) where status = 'scheduled'; -- what waits, by time

-- A page of the conversations that whoever asks may see, as ids in their order, the newest first. It runs as the system role,
-- asks itself who asks, and is put together of the conditions that there are: each has its own index, of which one scan for
-- each number and status is as long as the page. Only an admin who asks for nothing more walks along all numbers at once.
create function list_conversations(asked_status text, asked_number uuid, nobodys boolean, asked_assignee uuid, with_contacts uuid[],
                                   only_unread boolean, asked_tag uuid, pattern text, before_at timestamptz, before_id uuid, many integer)
    returns table (id uuid, place bigint)
    language plpgsql stable security definer set search_path = public, pg_temp
    set jit = off
    rows 50
as $$
#variable_conflict use_column
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := array(select n from unnest(my_numbers()) as n where asked_number is null or n = asked_number);
    statuses constant text[] := case when asked_status is null then array['open', 'pending', 'snoozed', 'done'] else array[asked_status] end;
    of_all constant boolean := asked_number is null and not nobodys and asked_assignee is null and not only_unread
                               and with_contacts is null and i_am_admin();
    conditions text := '';
    found text;
begin
    if workspace is null or numbers = '{}' then
        return;
    end if;
    if nobodys then
        conditions := conditions || ' and v.assignee_id is null';
    end if;
    if asked_assignee is not null then
        conditions := conditions || ' and v.assignee_id = $4';
    end if;
    if only_unread then
        conditions := conditions || ' and v.unread_count > 0';
    end if;
    if asked_tag is not null then
        conditions := conditions || ' and has_tag(v.workspace_id, v.contact_id, $6)';
    end if;
    if pattern is not null then
        conditions := conditions || ' and exists (select from contacts c
                                                   where c.workspace_id = v.workspace_id and c.id = v.contact_id
                                                     and coalesce(c.name, '''') || '' '' || c.phone_number ilike ''%'' || $7 || ''%'')';
    end if;
    if before_at is not null then
        conditions := conditions || ' and (v.last_message_at, v.id) < ($8, $9)';
    end if;
    found := case
        -- Of few contacts: those that there are, sorted.
        when with_contacts is not null then
            'select v.id, v.last_message_at from unnest($5) as k (contact)
               join conversations v on v.workspace_id = $1 and v.contact_id = k.contact
              where v.status = any ($3) and v.number_id = any ($2)' || conditions
        when of_all then
            'select t.id, t.last_message_at from unnest($3) as s (status)
              cross join lateral (select v.id, v.last_message_at from conversations v
                                   where v.workspace_id = $1 and v.status = s.status' || conditions || '
                                   order by v.last_message_at desc, v.id desc limit $10) t'
        else
            'select t.id, t.last_message_at from unnest($2) as n (number) cross join unnest($3) as s (status)
              cross join lateral (select v.id, v.last_message_at from conversations v
                                   where v.workspace_id = $1 and v.number_id = n.number and v.status = s.status' || conditions || '
                                   order by v.last_message_at desc, v.id desc limit $10) t'
        end;
    return query execute
        'select f.id, row_number() over (order by f.last_message_at desc, f.id desc) as place
           from (' || found || ') as f order by place limit $10'
        using workspace, numbers, statuses, asked_assignee, with_contacts, asked_tag, pattern, before_at, before_id, many;
end $$;
grant execute on function list_conversations(text, uuid, boolean, uuid, uuid[], boolean, uuid, text, timestamptz, uuid, integer)
    to messagehub_people;

-- As in `0024_contacts.sql`. That the last condition stands inside keeps the planner from making a table of everybody whom an
-- agent may see, out of all conversations, before it looks at the first contact.
drop policy people_see on contacts;
create policy people_see on contacts for select to messagehub_people
    using (workspace_id = (select my_workspace()) and merged_into is null
           and ((select i_am_admin())
                or exists (select from conversations c
                            where c.workspace_id = contacts.workspace_id and c.contact_id = contacts.id and contacts.merged_into is null)
                or (created_by = (select current_user_id()) and not texted)));

-- Whom a list of contacts is about, if they are few. An agent who sees few is asked for those.
create or replace function few_contacts(pattern text, tag uuid, opted_out boolean) returns uuid[]
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_custom_plan -- of a pattern that is not known yet no index of its parts is used
    set enable_seqscan = off
    set jit = off
as $$
declare
    most constant integer := 1000;
    -- Of a million contacts that is as long as the way to a page of as many.
    most_seen constant integer := 5000;
    workspace constant uuid := my_workspace();
    found uuid[];
begin
    if tag is not null then
        found := array(select o.contact_id from contact_tags o where o.workspace_id = workspace and o.tag_id = tag limit most + 1);
        if cardinality(found) <= most then
            return found;
        end if;
    end if;
    if opted_out then
        found := array(select o.contact_id from opt_outs o where o.workspace_id = workspace limit most + 1);
        if cardinality(found) <= most then
            return found;
        end if;
    end if;
    -- Of less than three characters there is no trigram.
    if length(pattern) >= 3 then
        found := array(
            select c.id from contacts c
             where c.workspace_id = workspace
               and (coalesce(c.name, '') || ' ' || c.phone_number ilike '%' || pattern || '%' or c.email ilike '%' || pattern || '%')
             limit most + 1);
        -- By a number that is another one's now.
        found := found || array(
            select c.merged_into from contacts c
             where c.workspace_id = workspace and c.merged_into is not null and ' ' || c.phone_number ilike '%' || pattern || '%'
             limit most + 1);
        if cardinality(found) <= most then
            return found;
        end if;
    end if;
    if not i_am_admin() then
        found := array(
            select v.contact_id from unnest(my_numbers()) as n (number)
             cross join lateral (select v.contact_id from conversations v
                                  where v.workspace_id = workspace and v.number_id = n.number
                                  limit most_seen + 1) v
             limit most_seen + 1);
        found := found || array(
            select c.id from contacts c
             where c.workspace_id = workspace and c.created_by = current_user_id() and not c.texted and c.merged_into is null
             limit most_seen + 1);
        if cardinality(found) <= most_seen then
            return found;
        end if;
    end if;
    return null;
end $$;

-- Two or three steps: down from the newest, first a little, for what is in many texts is soon found there; what is not in that
-- little at all is rare, and left to the index at once; for what is there now and then, further down before the index is asked.
-- Each is bounded: 10,000 rows down, and by the index at most about as many as would not have filled the page. The number is
-- asked before the words, so that what is in others' texts costs the same whatever it says.
create or replace function find_messages(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    scopes constant text[] := array(select scope_of(number) from unnest(numbers) as number);
    terms constant text[] := array(select distinct word from unnest((words_of(q))[:12]) as word);
    asked tsquery;
    narrow constant text[] := narrowest(terms);
    edge uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    step integer;
    found integer := 0;
    more integer;
begin
    if workspace is null or terms = '{}' or numbers = '{}' then
        return;
    end if;
    asked := asks_for(scopes, terms);
    foreach step in array array[500, 9500] loop
        return query
            select w.id from (select n.id, n.number_id, n.words from message_words n
                               where n.workspace_id = workspace and n.id < edge
                               order by n.id desc limit step) w
             where case when w.number_id = any (numbers) then w.words @@ asked end
             limit many - found;
        get diagnostics more = row_count;
        found := found + more;
        if found >= many then
            return;
        end if;
        edge := (select n.id from message_words n
                  where n.workspace_id = workspace and n.id < edge
                  order by n.id desc offset step - 1 limit 1);
        if edge is null then
            return;
        end if;
        exit when found = 0;
    end loop;
    return query
        -- By itself, so that no other index seems good enough; and number by number, for the index is slow where much is
        -- joined by "or".
        with held as materialized (select n.workspace_id, n.id, n.number_id, n.words
                                     from unnest(scopes) as s (scope)
                                    cross join lateral (select * from message_words n
                                                         where n.words @@ asks_for(array[s.scope], narrow)) n)
        select h.id from held h
         where h.workspace_id = workspace and h.number_id = any (numbers) and h.id < edge and (narrow = terms or h.words @@ asked)
         order by h.id desc limit many - found;
end $$;

create or replace function find_contacts(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    scopes constant text[] := my_scopes();
    terms constant text[] := array(select distinct word from unnest((words_of(q))[:12]) as word);
    asked tsquery;
    narrow tsquery;
    edge uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    step integer;
    found integer := 0;
    more integer;
begin
    if workspace is null or terms = '{}' then
        return;
    end if;
    asked := asks_for(scopes, terms);
    narrow := asks_for(scopes, narrowest(terms));
    foreach step in array array[200, 2800] loop
        return query
            select w.id from (select n.id, n.words from contact_words n
                               where n.workspace_id = workspace and n.id < edge
                               order by n.id desc limit step) w
             where w.words @@ asked
             limit many - found;
        get diagnostics more = row_count;
        found := found + more;
        if found >= many then
            return;
        end if;
        edge := (select n.id from contact_words n
                  where n.workspace_id = workspace and n.id < edge
                  order by n.id desc offset step - 1 limit 1);
        if edge is null then
            return;
        end if;
        exit when found = 0;
    end loop;
    return query
        with held as materialized (select n.workspace_id, n.id, n.words from contact_words n where n.words @@ narrow)
        select h.id from held h
         where h.workspace_id = workspace and h.id < edge and (narrow = asked or h.words @@ asked)
         order by h.id desc limit many - found;
end $$;

-- By whom they are with, the one that moved last first.
create or replace function find_conversations(q text, before_at timestamptz, before_id uuid, many integer) returns setof uuid
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
    scopes constant text[] := my_scopes();
    terms constant text[] := array(select distinct word from unnest((words_of(q))[:12]) as word);
    asked tsquery;
    narrow tsquery;
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
    asked := asks_for(scopes, terms);
    narrow := asks_for(scopes, narrowest(terms));
    foreach step in array array[100, 900] loop
        -- One short scan for each status, and for each number of somebody who does not see them all.
        if is_admin then
            newest := array(
                select v.id
                  from unnest(statuses) as s (status)
                 cross join lateral (select v.id, v.last_message_at from conversations v
                                      where v.workspace_id = workspace and v.status = s.status
                                        and (v.last_message_at, v.id) < (edge_at, edge_id)
                                      order by v.last_message_at desc, v.id desc limit step) v
                 order by v.last_message_at desc, v.id desc limit step);
        else
            newest := array(
                select v.id
                  from unnest(numbers) as n (number) cross join unnest(statuses) as s (status)
                 cross join lateral (select v.id, v.last_message_at from conversations v
                                      where v.workspace_id = workspace and v.number_id = n.number and v.status = s.status
                                        and (v.last_message_at, v.id) < (edge_at, edge_id)
                                      order by v.last_message_at desc, v.id desc limit step) v
                 order by v.last_message_at desc, v.id desc limit step);
        end if;
        return query
            select v.id
              from unnest(newest) with ordinality as n (id, place)
              join conversations v on v.workspace_id = workspace and v.id = n.id
              join contact_words w on w.workspace_id = workspace and w.id = v.contact_id
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
        with held as materialized (select n.workspace_id, n.id, n.words from contact_words n where n.words @@ narrow)
        select v.id
          from held h
          join conversations v on v.workspace_id = workspace and v.contact_id = h.id and v.number_id = any (numbers)
         where h.workspace_id = workspace and (narrow = asked or h.words @@ asked)
           and (v.last_message_at, v.id) < (edge_at, edge_id)
         order by v.last_message_at desc, v.id desc limit many - found;
end $$;

grant create on schema public to messagehub_system;
alter function list_conversations(text, uuid, boolean, uuid, uuid[], boolean, uuid, text, timestamptz, uuid, integer) owner to messagehub_system;
revoke create on schema public from messagehub_system;
