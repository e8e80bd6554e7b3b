-- How fast each number sends, what goes first, and what waited too long to be sent at all.

-- Null: as usual for its kind. Providers count it per number; whoever is faster fills their queues and is turned away.
alter table numbers add column messages_per_second double precision check (messages_per_second between 0.01 and 1000);

create function usual_rate(provider text, phone_number text) returns double precision
    language sql immutable strict parallel safe
    return case
        when provider = 'sandbox' then 1000                             -- nobody counts there
        when phone_number ~ '^[0-9]{3,8}$' then 100                     -- short codes
        when phone_number ~ '^\+18(00|33|44|55|66|77|88)[0-9]{7}$' then 3 -- toll-free
        else 1 end;
grant execute on function usual_rate(text, text) to messagehub_people, messagehub_system;

-- A bucket of one second's worth of texts for each number that ever sent: every server takes from the same one.
create table number_pace (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    number_id    uuid not null,
    full_at      timestamptz not null default 'epoch',     -- when the bucket is full again
    held_until   timestamptz not null default '-infinity', -- the provider asked for a pause
    primary key (workspace_id, number_id),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
select confine_to_workspace('number_pace', readers => 'number_id = any ((select my_numbers())::uuid[])', writers => '(select i_am_admin())');
grant select, update on number_pace to messagehub_people;
grant select, insert, update on number_pace to messagehub_system;

-- The provider asked the whole account for a pause.
alter table integrations add column held_until timestamptz not null default '-infinity';

alter table messages
    add column bulk boolean not null default false, -- one of many: what people write goes first
    add column expires_at timestamptz;              -- queued: not sent after this
alter table workspaces
    add column text_validity_minutes integer not null default 240 check (text_validity_minutes between 5 and 1440),
    add column failover boolean not null default false; -- what waits at a number that is down leaves from another
create index workspaces_failing_over on workspaces (id) where failover;
update messages set expires_at = greatest(due_at, now()) + interval '4 hours' where status = 'queued';

create index messages_of_queue on messages (workspace_id, number_id, bulk, due_at, id) where status = 'queued'; -- the sender's claim
create index messages_expiring on messages (expires_at) where status = 'queued';                                -- what waited too long
drop index messages_due;

-- The numbers with queued texts, each found by one probe of `messages_of_queue`, with what they may send and when next.
create function queues() returns table (workspace_id uuid, number_id uuid, integration_id uuid, rate double precision, next_at timestamptz)
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with recursive queue as (
        (select m.workspace_id, m.number_id from messages m
          where m.status = 'queued'
          order by m.workspace_id, m.number_id
          limit 1)
        union all
        select n.workspace_id, n.number_id
          from queue q
         cross join lateral (select m.workspace_id, m.number_id from messages m
                              where m.status = 'queued' and (m.workspace_id, m.number_id) > (q.workspace_id, q.number_id)
                              order by m.workspace_id, m.number_id
                              limit 1) n
    )
    select q.workspace_id, q.number_id, n.integration_id, r.rate,
           -- A slow number's bucket holds one text, whatever its second's worth.
           greatest(coalesce(p.full_at, 'epoch') - make_interval(secs => (greatest(r.rate, 1) - 1) / r.rate),
                    coalesce(p.held_until, '-infinity'), i.held_until)
      from queue q
      join numbers n on n.workspace_id = q.workspace_id and n.id = q.number_id
      join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
      left join number_pace p on p.workspace_id = q.workspace_id and p.number_id = q.number_id
     cross join lateral (select coalesce(n.messages_per_second, usual_rate(i.provider, n.phone_number)) as rate) r
     where n.status = 'active' and i.is_active and i.status = 'healthy'
        -- Nobody is left to send these: they come out to be failed.
        or n.gone_at is not null or i.disconnected_at is not null;
end $$;

-- Chooses and locks what is to be sent now, and takes it from its numbers' buckets: what people write before what goes to
-- many, then the oldest, never a text whose conversation has an earlier one under way. Of each integration no more than it has
-- room for: `rooms` of those that are `busy`, `each` of all others. So one whose provider hangs takes no place of another's.
create function texts_to_send(most integer, each integer default 1000000, busy uuid[] default '{}', rooms integer[] default '{}')
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
                      from queues() q
                     cross join lateral (select coalesce((select b.room from unnest(busy, rooms) as b (integration, room)
                                                           where b.integration = q.integration_id), each) as room) f
                     cross join lateral (select m.bulk, m.due_at, m.id from messages m
                                          where m.workspace_id = q.workspace_id and m.number_id = q.number_id and m.status = 'queued'
                                            and m.due_at <= now() and (m.expires_at is null or m.expires_at > now())
                                            -- Each text asks for itself, along `messages_waiting`: as a join this compared all
                                            -- that wait with all others.
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
    if numbers is null then
        return;
    end if;
    insert into number_pace (workspace_id, number_id)
    select c.workspace, c.number from unnest(workspaces, numbers) as c (workspace, number)
     order by c.workspace, c.number
        on conflict do nothing;
    -- Another server may be taking from the same buckets: all wait for each other in this order, and what follows sees
    -- what the one before has left.
    perform from number_pace p
      where (p.workspace_id, p.number_id) in (select c.workspace, c.number from unnest(workspaces, numbers) as c (workspace, number))
      order by p.workspace_id, p.number_id
        for update of p;

    return query
    with room as (
        select c.workspace, c.number, c.rate, c.integration, c.place_left,
               floor(greatest(c.rate, 1)
                     - greatest(0, extract(epoch from p.full_at - clock_timestamp())) * c.rate + 0.000001) as texts
          from unnest(workspaces, numbers, rates, integrations, lefts) as c (workspace, number, rate, integration, place_left)
          join number_pace p on p.workspace_id = c.workspace and p.number_id = c.number
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
                                for update skip locked) t) w
         where w.nth <= w.place_left
         order by w.bulk, w.due_at, w.id
         limit most
    ), spent as (
        update number_pace p
           set full_at = greatest(p.full_at, clock_timestamp()) + make_interval(secs => s.texts / s.rate)
          from (select t.workspace_id, t.number, t.rate, count(*) as texts from taken t group by 1, 2, 3) s
         where p.workspace_id = s.workspace_id and p.number_id = s.number
    )
    select t.workspace_id, t.id from taken t;
end $$;

-- When there may be something to send that there is not now.
create function next_to_send() returns timestamptz
    language sql stable
    set enable_seqscan = off
    return (select min(greatest(t.due_at, q.next_at))
              from queues() q
             cross join (values (false), (true)) as b (bulk)
             cross join lateral (select m.due_at from messages m
                                  where m.workspace_id = q.workspace_id and m.number_id = q.number_id and m.status = 'queued'
                                    and m.bulk = b.bulk and (q.next_at > now() or m.due_at > now())
                                  order by m.due_at
                                  limit 1) t);

grant execute on function queues(), texts_to_send(integer, integer, uuid[], integer[]), next_to_send() to messagehub_system;
