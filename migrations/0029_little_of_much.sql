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
                                   only_unread boolean, asked_tag uuid, q text, q_numbers text[],
                                   before_at timestamptz, before_id uuid, many integer)
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
    if q is not null then
        conditions := conditions || ' and is_sought(v.workspace_id, v.contact_id, $7)';
    end if;
    if before_at is not null then
        conditions := conditions || ' and (v.last_message_at, v.id) < ($8, $9)';
    end if;
    found := case
        -- Of few contacts: those that there are, sorted.
        when with_contacts is not null then
            -- Each by the index: `offset 0` keeps the planner from reading all conversations instead.
            'select v.id, v.last_message_at from unnest($5) as k (contact)
              cross join lateral (select v.* from conversations v
                                   where v.workspace_id = $1 and v.contact_id = k.contact offset 0) v
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
        using workspace, numbers, statuses, asked_assignee, with_contacts, asked_tag, people_query(q, q_numbers), before_at, before_id, many;
end $$;
grant execute on function list_conversations(text, uuid, boolean, uuid, uuid[], boolean, uuid, text, text[], timestamptz, uuid, integer)
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

-- What the caller looks for in a list of people: any part of a name, number or e-mail address. Null where there is nothing to look
-- for, and nobody has that.
create function listed_terms(q text, q_numbers text[]) returns text[]
    language sql immutable strict parallel safe
    return array(select case when term ~ '[|-]' then term else term || '|@' || term end from unnest(people_terms(q, q_numbers)) as term);
create function people_query(q text, q_numbers text[]) returns tsquery
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return asks_for(my_scopes(), listed_terms(q, q_numbers));
end $$;
create function is_sought(workspace uuid, contact uuid, asked tsquery) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return workspace = current_workspace()
       and exists (select from contact_words w where w.workspace_id = workspace and w.id = contact and w.words @@ asked);
end $$;

-- Whom a search or a filter is about, if they are few: then they are sorted. Null: many, or what is asked narrows nothing; then
-- the list is walked in its order, and soon has a page. Who is answered has all that `q` asks for; a tag and an opt-out are still
-- asked with the rights of the caller. An agent who sees few is asked for those.
create function few_contacts(q text, q_numbers text[], tag uuid, opted_out boolean) returns uuid[]
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    most constant integer := 1000;
    -- Of a million contacts that is as long as the way to a page of as many.
    most_seen constant integer := 5000;
    workspace constant uuid := my_workspace();
    terms constant text[] := listed_terms(q, q_numbers);
    asked constant tsquery := people_query(q, q_numbers);
    found uuid[];
begin
    if q is not null and asked is null then
        return '{}';
    end if;
    if tag is not null then
        found := array(select o.contact_id from contact_tags o where o.workspace_id = workspace and o.tag_id = tag limit most + 1);
        if cardinality(found) <= most then
            return case when q is null then found else array(select f from unnest(found) as f where is_sought(workspace, f, asked)) end;
        end if;
    end if;
    if opted_out then
        found := array(select o.contact_id from opt_outs o where o.workspace_id = workspace limit most + 1);
        if cardinality(found) <= most then
            return case when q is null then found else array(select f from unnest(found) as f where is_sought(workspace, f, asked)) end;
        end if;
    end if;
    -- By the index, scope by scope, for it is slow where much is joined by "or". Short beginnings are in half of all names.
    if exists (select from unnest(terms) as term where is_narrow(term)) then
        found := array(
            select distinct h.id
              from unnest(my_scopes()) as s (scope)
             cross join lateral (select w.id
                                   from (select n.workspace_id, n.id from contact_words n
                                          where n.words @@ asks_for(array[s.scope], terms) offset 0) w
                                  where w.workspace_id = workspace limit most_seen + 1) h
             limit most_seen + 1);
        if cardinality(found) <= most_seen then
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
            return case when q is null then found else array(select f from unnest(found) as f where is_sought(workspace, f, asked)) end;
        end if;
    end if;
    return null;
end $$;

-- A page of the contacts that an agent sees, by when they were added: those of each number's conversations, and their own whom
-- nobody has texted with. Along all contacts they would pass over everybody else's first.
create index conversations_contacts_of_number on conversations (workspace_id, number_id, contact_id);
create function contacts_seen(beyond uuid, oldest_first boolean, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    maker constant uuid := current_user_id();
begin
    if oldest_first then
        return query
            select s.id
              from (select v.contact_id as id from unnest(my_numbers()) as n (number)
                     cross join lateral (select c.contact_id from conversations c
                                          where c.workspace_id = workspace and c.number_id = n.number
                                            and c.contact_id > coalesce(beyond, '00000000-0000-0000-0000-000000000000')
                                          order by c.contact_id limit many) v
                    union
                   (select c.id from contacts c
                     where c.workspace_id = workspace and c.created_by = maker and not c.texted and c.merged_into is null
                       and c.id > coalesce(beyond, '00000000-0000-0000-0000-000000000000')
                     order by c.id limit many)) s
             order by s.id limit many;
        return;
    end if;
    return query
        select s.id
          from (select v.contact_id as id from unnest(my_numbers()) as n (number)
                 cross join lateral (select c.contact_id from conversations c
                                      where c.workspace_id = workspace and c.number_id = n.number
                                        and c.contact_id < coalesce(beyond, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                                      order by c.contact_id desc limit many) v
                union
               (select c.id from contacts c
                 where c.workspace_id = workspace and c.created_by = maker and not c.texted and c.merged_into is null
                   and c.id < coalesce(beyond, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                 order by c.id desc limit many)) s
         order by s.id desc limit many;
end $$;

-- The newest 500 first, for what is in many texts is soon found there. Then part after part of each number's texts, by the index
-- of words: those that reach farthest up come first, and as soon as there is a page above all that is left, it is the newest. So
-- a page costs about as many rows as the parts hold that it comes from, however many texts have the words; what is rare or
-- nowhere costs one look into the index for each part. The number is asked before the words, so that what is in others' texts
-- costs the same whatever it says.
create function find_messages(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    terms constant text[] := (sought_words(q))[:12];
    newest constant integer := 500;
    -- What is asked for with the scope still to be put in: no word has a `!`.
    template constant text := asks_for(array['!'], terms)::text;
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
        select distinct part_scope(w.number_id, w.part)
          from (select n.number_id, n.part from message_words n
                 where n.workspace_id = workspace and n.id < edge
                 order by n.id desc limit newest) w
         where w.number_id = any (numbers));
    asked := asks_for(scopes, terms);
    found := array(
        select w.id from (select n.id, n.number_id, n.words from message_words n
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
    edge := (select n.id from message_words n
              where n.workspace_id = workspace and n.id < edge
              order by n.id desc offset newest - 1 limit 1);
    if edge is null then
        return;
    end if;
    select array_agg(part_scope(n.number, p.part) order by r.id desc), array_agg(r.id order by r.id desc)
      into scopes, reaches
      from unnest(numbers) as n (number)
     cross join lateral (select w.part from message_words w
                          where w.workspace_id = workspace and w.number_id = n.number
                          order by w.part desc limit 1) t
     cross join lateral generate_series(0, t.part) as p (part)
     -- In the order of `message_words_parts`, so that no plan made of an empty table goes along all texts instead.
     cross join lateral (select w.part, w.id from message_words w
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
                     cross join lateral (select n.workspace_id, n.id, n.number_id from message_words n
                                          where n.words @@ replace(template, '!', s.scope)::tsquery offset 0) w
                     where w.workspace_id = workspace and w.number_id = any (numbers) and w.id < edge) h (id)
             order by h.id desc limit many);
        done := done + step;
        exit when found[many] > reaches[done + 1];
        -- Where there is a page already, the next part may make it all that is needed.
        step := case when found[many] is null then least(step * 2, 64) else 1 end;
    end loop;
    return query select f from unnest(found) as f;
end $$;

create function find_contacts(q text, q_numbers text[], before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    scopes constant text[] := my_scopes();
    terms constant text[] := people_terms(q, q_numbers);
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
        -- By itself, so that no other index seems good enough.
        select h.id
          from (select n.workspace_id, n.id from contact_words n
                 where n.words @@ narrow and (narrow = asked or n.words @@ asked) offset 0) h
         where h.workspace_id = workspace and h.id < edge
         order by h.id desc limit many - found;
end $$;

-- By whom they are with, the one that moved last first.
create function find_conversations(q text, q_numbers text[], before_at timestamptz, before_id uuid, many integer) returns setof uuid
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
    terms constant text[] := people_terms(q, q_numbers);
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
        select v.id
          from (select n.workspace_id, n.id from contact_words n
                 where n.words @@ narrow and (narrow = asked or n.words @@ asked) offset 0) h
          join conversations v on v.workspace_id = workspace and v.contact_id = h.id and v.number_id = any (numbers)
         where h.workspace_id = workspace
           and (v.last_message_at, v.id) < (edge_at, edge_id)
         order by v.last_message_at desc, v.id desc limit many - found;
end $$;

grant execute on function listed_terms(text, text[]), people_query(text, text[]), is_sought(uuid, uuid, tsquery) to messagehub_people, messagehub_system;
grant execute on function few_contacts(text, text[], uuid, boolean), contacts_seen(uuid, boolean, integer), find_messages(text, uuid, integer), find_contacts(text, text[], uuid, integer),
    find_conversations(text, text[], timestamptz, uuid, integer) to messagehub_people;
grant create on schema public to messagehub_system;
alter function people_query(text, text[]) owner to messagehub_system;
alter function is_sought(uuid, uuid, tsquery) owner to messagehub_system;
alter function few_contacts(text, text[], uuid, boolean) owner to messagehub_system;
alter function contacts_seen(uuid, boolean, integer) owner to messagehub_system;
alter function find_messages(text, uuid, integer) owner to messagehub_system;
alter function find_contacts(text, text[], uuid, integer) owner to messagehub_system;
alter function find_conversations(text, text[], timestamptz, uuid, integer) owner to messagehub_system;
alter function list_conversations(text, uuid, boolean, uuid, uuid[], boolean, uuid, text, text[], timestamptz, uuid, integer) owner to messagehub_system;
revoke create on schema public from messagehub_system;
