-- The numbers with queued messages, each found by one probe of the index messages_of_queue; their rate, and when they may send
-- next.
create or replace function queued_numbers() returns table (workspace_id uuid, number_id uuid, integration_id uuid, rate double precision, next_at timestamptz)
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
           -- The bucket of a number slower than one per second still holds one message.
           greatest(coalesce(p.refilled_at, 'epoch') - make_interval(secs => (greatest(r.rate, 1) - 1) / r.rate),
                    coalesce(p.held_until, '-infinity'), i.held_until)
      from queue q
      join numbers n on n.workspace_id = q.workspace_id and n.id = q.number_id
      join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
      left join number_buckets p on p.workspace_id = q.workspace_id and p.number_id = q.number_id
     cross join lateral (select coalesce(n.messages_per_second, default_send_rate(i.provider, n.phone_number)) as rate) r
     where n.status = 'active' and i.is_active and i.status = 'healthy'
        -- No provider can send these any more: the sender fails them.
        or n.gone_at is not null or i.disconnected_at is not null;
end $$;
grant execute on function queued_numbers to messagehub_system;
