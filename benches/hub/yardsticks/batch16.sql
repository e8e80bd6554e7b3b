-- Sixteen texts in one statement, as a server can store them that gathers waiting webhooks. Senders are drawn in SQL: pgbench has
-- no arrays. A contact that occurs twice is updated once, and contacts are in the order of their key: two batches never
-- wait for each other in a circle.
with drawn as materialized (
    select i, random() < 0.05 as is_new, floor(random() * 10000)::int as c, floor(random() * 10000000)::int as fresh,
           floor(random() * 50)::int as fresh_n, 'SM' || replace(gen_random_uuid()::text, '-', '') as sid
      from generate_series(1, 16) i
), arrived as materialized (
    select d.sid, case when is_new then '+1628' || lpad(fresh::text, 7, '0') else '+1415555' || lpad(d.c::text, 4, '0') end as phone,
           t.workspace_id
      from drawn d
      join twilio_numbers t on t.phone_number = '+1651555' || lpad((case when is_new then fresh_n else d.c % 50 end)::text, 4, '0')
), c as (
    insert into contacts (phone_number, workspace_id, name, unread_count, conversation_status)
    select phone, workspace_id, 'Unknown (' || phone || ')', count(*), 'Open'
      from arrived
     group by phone, workspace_id
     order by phone, workspace_id
        on conflict (phone_number, workspace_id) do update
       set unread_count = contacts.unread_count + excluded.unread_count, updated_at = now()
    returning id, phone_number, workspace_id, unread_count
), m as (
    insert into messages (workspace_id, contact_id, content, direction, status, twilio_sid, message_type)
    select c.workspace_id, c.id, 'Can I move my appointment to Thursday at 3pm? I have to pick up the kids before that.', 'inbound',
           'delivered', a.sid, 'text'
      from arrived a
      join c on c.phone_number = a.phone and c.workspace_id = a.workspace_id
    returning id, contact_id, created_at
)
select m.id, m.created_at, c.id, c.unread_count from m join c on c.id = m.contact_id;
