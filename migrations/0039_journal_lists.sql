-- Lists of texts and of providers' calls across a whole workspace, at a bounded cost however rare what is asked for is, and
-- however little of the workspace somebody sees.

-- Texts that wait or went wrong. Inbound texts, most of all, have no entry here.
create index messages_unsettled on messages (workspace_id, number_id, status, id desc)
    where direction = 'outbound' and status not in ('sent', 'delivered');

-- Reads at most so many rows of what has no index of its own. A page that is not full by then says where to go on.
create function most_walked() returns integer language sql immutable parallel safe return 4000;
grant execute on function most_walked() to messagehub_system;

-- Ids of the texts that the caller may see, newest first, before `before_id`. `resume_at` is null, or where to go on after a page
-- that is shorter than `many` although there may be more.
create function list_messages(asked_direction text, asked_status text, before_id uuid, many integer)
    returns table (ids uuid[], resume_at uuid)
    language plpgsql stable security definer set search_path = public, pg_temp
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    few constant integer := 200;
    last_id constant uuid := coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    conversations uuid[];
begin
    ids := '{}';
    -- Only what is not outbound is `received`.
    if workspace is null or numbers = '{}'
       or (asked_direction is not null and asked_status is not null and (asked_status = 'received') = (asked_direction = 'outbound')) then
        return next;
        return;
    end if;
    if asked_status in ('scheduled', 'queued', 'sending', 'unconfirmed', 'undelivered', 'failed', 'canceled') then
        -- The status stands in the text of the statement, so that the planner can prove the index's condition.
        execute format(
            'select array(select t.id from unnest($2) as n (number)
                           cross join lateral (select m.id from messages m
                                                where m.workspace_id = $1 and m.number_id = n.number and m.status = %L
                                                  and m.direction = ''outbound'' and m.id < $3
                                                order by m.id desc limit $4) t
                           order by t.id desc limit $4)', asked_status)
           into ids using workspace, numbers, last_id, many;
        return next;
        return;
    end if;
    if asked_direction is null and asked_status is null and not i_am_admin() then
        conversations := array(select t.id from unnest(numbers) as n (number)
                                cross join lateral (select v.id from conversations v
                                                     where v.workspace_id = workspace and v.number_id = n.number limit few + 1) t
                                limit few + 1);
        if cardinality(conversations) <= few then
            ids := array(select t.id from unnest(conversations) as v (id)
                          cross join lateral (select m.id from messages m
                                               where m.workspace_id = workspace and m.conversation_id = v.id and m.id < last_id
                                               order by m.id desc limit many) t
                          order by t.id desc limit many);
            return next;
            return;
        end if;
    end if;
    ids := array(select w.id
                   from (select m.id, m.number_id, m.direction, m.status from messages m
                          where m.workspace_id = workspace and m.id < last_id
                          order by m.id desc limit most_walked()) w
                  where w.number_id = any (numbers)
                    and (asked_direction is null or w.direction = asked_direction)
                    and (asked_status is null or w.status = asked_status)
                  order by w.id desc limit many);
    if cardinality(ids) < many then
        resume_at := (select m.id from messages m
                       where m.workspace_id = workspace and m.id < last_id
                       order by m.id desc offset most_walked() - 1 limit 1);
    end if;
    return next;
end $$;
grant execute on function list_messages(text, text, uuid, integer) to messagehub_people;
grant create on schema public to messagehub_system;
alter function list_messages(text, text, uuid, integer) owner to messagehub_system;

-- The same for the journal of providers' calls, which admins see. The provider's id of a text and the rare outcomes have indexes.
create function list_webhooks(asked_number uuid, asked_kind text, asked_outcome text, asked_sid text, before_id uuid, many integer)
    returns table (ids uuid[], resume_at uuid)
    language plpgsql stable security definer set search_path = public, pg_temp
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    last_id constant uuid := coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    indexed text := '';
begin
    ids := '{}';
    if workspace is null or not i_am_admin() then
        return next;
        return;
    end if;
    if asked_sid is not null then
        indexed := ' and w.provider_sid = $4';
    end if;
    if asked_outcome is not null then
        indexed := indexed || format(' and w.outcome = %L', asked_outcome);
    end if;
    execute format(
        'select array(select w.id
                        from (select w.id, w.number_id, w.kind from webhooks w
                               where w.workspace_id = $1 and w.id < $5%s
                               order by w.id desc limit most_walked()) w
                       where ($2 is null or w.number_id = $2) and ($3 is null or w.kind = $3)
                       order by w.id desc limit $6)', indexed)
       into ids using workspace, asked_number, asked_kind, asked_sid, last_id, many;
    if cardinality(ids) < many then
        execute format(
            'select w.id from webhooks w
              where w.workspace_id = $1 and w.id < $3%s
              order by w.id desc offset most_walked() - 1 limit 1', replace(indexed, '$4', '$2'))
           into resume_at using workspace, asked_sid, last_id;
    end if;
    return next;
end $$;
grant execute on function list_webhooks(uuid, text, text, text, uuid, integer) to messagehub_people;
alter function list_webhooks(uuid, text, text, text, uuid, integer) owner to messagehub_system;
revoke create on schema public from messagehub_system;
