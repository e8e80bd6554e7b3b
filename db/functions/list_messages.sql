-- Ids of the messages that the caller may see, newest first, before `before_id`. `resume_at` is null, or where to continue after a
-- page that is shorter than `many` although there may be more.
create or replace function list_messages(asked_direction text, asked_status text, before_id uuid, many integer)
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
    -- Outbound messages are never `received`, all others always.
    if workspace is null or numbers = '{}'
       or (asked_direction is not null and asked_status is not null and (asked_status = 'received') = (asked_direction = 'outbound')) then
        return next;
        return;
    end if;
    if asked_status in ('scheduled', 'queued', 'sending', 'unconfirmed', 'undelivered', 'failed', 'canceled') then
        -- A literal status lets the planner use the partial index.
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
                                                     where v.workspace_id = workspace and v.number_id = n.number order by v.contact_id limit few + 1) t
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
                          order by m.id desc limit max_rows_scanned()) w
                  where w.number_id = any (numbers)
                    and (asked_direction is null or w.direction = asked_direction)
                    and (asked_status is null or w.status = asked_status)
                  order by w.id desc limit many);
    if cardinality(ids) < many then
        resume_at := (select m.id from messages m
                       where m.workspace_id = workspace and m.id < last_id
                       order by m.id desc offset max_rows_scanned() - 1 limit 1);
    end if;
    return next;
end $$;
alter function list_messages owner to messagehub_system;
grant execute on function list_messages to messagehub_people;
