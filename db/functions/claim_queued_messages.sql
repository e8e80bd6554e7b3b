-- Chooses and locks the messages to send now, and takes them from the token buckets of their numbers: single messages before bulk,
-- then the oldest, never one whose conversation has an earlier one under way. Each integration gets at most its free slots, `free_slots`
-- for those in `busy` and `each` for all others, so that a provider that hangs does not take the slots of others.
create or replace function claim_queued_messages(most integer, each integer default 1000000, busy uuid[] default '{}', free_slots integer[] default '{}')
    returns table (workspace_id uuid, id uuid)
    language plpgsql rows 10
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
declare
    workspaces uuid[];
    numbers uuid[];
    rates double precision[];
    integrations uuid[];
    lefts integer[];
begin
    select array_agg(c.workspace_id), array_agg(c.number_id), array_agg(c.rate), array_agg(c.integration_id), array_agg(c.room)
      into workspaces, numbers, rates, integrations, lefts
      from (select w.*
              from (select q.workspace_id, q.number_id, q.integration_id, q.rate, f.room, t.bulk, t.due_at, t.id,
                           row_number() over (partition by q.integration_id order by t.bulk, t.due_at, t.id) as nth
                      from queued_numbers() q
                     cross join lateral (select coalesce((select b.room from unnest(busy, free_slots) as b (integration, room)
                                                           where b.integration = q.integration_id), each) as room) f
                     cross join lateral (select m.bulk, m.due_at, m.id from messages m
                                          where m.workspace_id = q.workspace_id and m.number_id = q.number_id and m.status = 'queued'
                                            and m.due_at <= now() and (m.expires_at is null or m.expires_at > now())
                                            -- A scalar sub-query along the index messages_waiting for each message: a join
                                            -- would compare all waiting messages with each other.
                                            and m.id = (select e.id from messages e
                                                         where e.workspace_id = m.workspace_id and e.conversation_id = m.conversation_id
                                                           and e.direction = 'outbound' and e.status in ('queued', 'sending')
                                                         order by e.id
                                                         limit 1)
                                          order by m.bulk, m.due_at, m.id
                                          limit 1) t
                     where q.next_at <= now() and f.room > 0) w
             where w.nth <= w.room
             order by w.bulk, w.due_at, w.id
             limit most) c;
    -- The rows of a workspace that is being deleted are locked. To wait for them would delay the messages of all workspaces.
    select array_agg(c.workspace), array_agg(c.number), array_agg(c.rate), array_agg(c.integration), array_agg(c.place_left)
      into workspaces, numbers, rates, integrations, lefts
      from unnest(workspaces, numbers, rates, integrations, lefts) as c (workspace, number, rate, integration, place_left)
     where c.workspace in (select w.id from workspaces w where w.id = any (workspaces) for key share skip locked);
    if numbers is null then
        return;
    end if;
    insert into number_buckets (workspace_id, number_id)
    select c.workspace, c.number from unnest(workspaces, numbers) as c (workspace, number)
     order by c.workspace, c.number
        on conflict do nothing;
    -- Servers take from the same buckets: they wait for each other in this order, and the statement below sees what is
    -- left.
    perform from number_buckets p
      where (p.workspace_id, p.number_id) in (select c.workspace, c.number from unnest(workspaces, numbers) as c (workspace, number))
      order by p.workspace_id, p.number_id
        for no key update of p;

    return query
    with room as (
        select c.workspace, c.number, c.rate, c.integration, c.place_left,
               floor(greatest(c.rate, 1)
                     - greatest(0, extract(epoch from p.refilled_at - clock_timestamp())) * c.rate + 0.000001) as texts
          from unnest(workspaces, numbers, rates, integrations, lefts) as c (workspace, number, rate, integration, place_left)
          join number_buckets p on p.workspace_id = c.workspace and p.number_id = c.number
         where p.held_until <= now()
    ), taken as materialized (
        select w.workspace_id, w.id, w.number, w.rate
          from (
        select t.workspace_id, t.id, t.bulk, t.due_at, r.number, r.rate, r.place_left,
               row_number() over (partition by r.integration order by t.bulk, t.due_at, t.id) as nth
          from room r
         cross join lateral (select m.workspace_id, m.id, m.bulk, m.due_at from messages m
                              where m.workspace_id = r.workspace and m.number_id = r.number and m.status = 'queued'
                                and m.due_at <= now() and (m.expires_at is null or m.expires_at > now())
                                and m.id = (select e.id from messages e
                                             where e.workspace_id = m.workspace_id and e.conversation_id = m.conversation_id
                                               and e.direction = 'outbound' and e.status in ('queued', 'sending')
                                             order by e.id
                                             limit 1)
                              order by m.bulk, m.due_at, m.id
                              limit least(greatest(r.texts, 0), most, r.place_left)
                                for no key update skip locked) t) w
         where w.nth <= w.place_left
         order by w.bulk, w.due_at, w.id
         limit most
    ), spent as (
        update number_buckets p
           set refilled_at = greatest(p.refilled_at, clock_timestamp()) + make_interval(secs => s.texts / s.rate)
          from (select t.workspace_id, t.number, t.rate, count(*) as texts from taken t group by 1, 2, 3) s
         where p.workspace_id = s.workspace_id and p.number_id = s.number
    )
    select t.workspace_id, t.id from taken t;
end $$;
grant execute on function claim_queued_messages to messagehub_system;
