-- `cte.sql` in the lean schema.
\set is_new random(1, 100)
\if :is_new <= 5
\set phone 16280000000 + random(0, 9999999)
\set n random(0, 49)
\else
\set c random(0, 9999)
\set phone 14155550000 + :c
\set n :c % 50
\endif
\set r1 random(0, 4611686018427387903)
\set r2 random(0, 4611686018427387903)
with n as (
    select workspace_id from numbers where phone_number = '+1651555' || lpad((:n)::text, 4, '0')
), c as (
    insert into contacts (phone_number, workspace_id, name, unread_count)
    select '+' || (:phone)::text, workspace_id, '+' || (:phone)::text, 1 from n
        on conflict (workspace_id, phone_number) do update set unread_count = contacts.unread_count + 1, updated_at = now()
    returning id, workspace_id, unread_count
), m as (
    insert into messages (workspace_id, contact_id, direction, status, content, provider_sid)
    select workspace_id, id, 0, 1, 'Can I move my appointment to Thursday at 3pm? I have to pick up the kids before that.',
           'SM' || lpad(to_hex((:r1)::bigint), 16, '0') || lpad(to_hex((:r2)::bigint), 16, '0')
      from c
    returning id, created_at
)
select m.id, m.created_at, c.id, c.unread_count from m, c;
