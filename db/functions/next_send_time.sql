-- When the next message may be sent that cannot be sent now.
create or replace function next_send_time() returns timestamptz
    language sql stable
    set enable_seqscan = off
as $$
    select min(greatest(t.due_at, q.next_at))
      from queued_numbers() q
     cross join (values (false), (true)) as b (bulk)
     cross join lateral (select m.due_at from messages m
                          where m.workspace_id = q.workspace_id and m.number_id = q.number_id and m.status = 'queued'
                            and m.bulk = b.bulk and (q.next_at > now() or m.due_at > now())
                          order by m.due_at
                          limit 1) t
$$;
grant execute on function next_send_time to messagehub_system;
