-- Applies delivery reports in the order in which they came: one call, one round trip, one transaction. A status only moves forward,
-- the first error stays, and a repeated report changes nothing. Returns rows for reports of known messages; `credited` is the member
-- who got a credit back, because the provider canceled the message.
create or replace function apply_delivery_reports(reports delivery_report[])
    returns table (place bigint, message_id uuid, number_id uuid, conversation_id uuid, changed boolean, opted_out boolean, credited uuid)
    language plpgsql
    -- As in `receive_texts`.
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
declare
    found_messages uuid[]; -- the message of each report, if found
    turns bigint[];        -- whether it is the first, second, ... report of its message
    last_turn bigint;
begin
    select array_agg(f.id order by f.place), array_agg(f.turn order by f.place), max(f.turn) filter (where f.id is not null)
      into found_messages, turns, last_turn
      from (select t.ordinality as place, m.id, row_number() over (partition by t.workspace_id, m.id order by t.ordinality) as turn
              from unnest(reports) with ordinality as t
              left join lateral (
                   select m.id from messages m
                    where m.workspace_id = t.workspace_id and m.integration_id = t.integration_id and m.provider_sid = t.provider_sid
                      and m.direction = 'outbound'
                   union all
                   -- The report came before the answer to the send request: found by the id in the callback URL.
                   select m.id from messages m
                    where m.workspace_id = t.workspace_id and m.id = t.our_id and m.integration_id = t.integration_id
                      and m.provider_sid is null and m.direction = 'outbound'
                   limit 1) m on true) as f;

    -- In key order: batches of two servers wait for each other instead of deadlocking.
    perform from (select distinct t.workspace_id, found_messages[t.ordinality] as id from unnest(reports) with ordinality as t) k
      join messages m on m.workspace_id = k.workspace_id and m.id = k.id
     order by m.workspace_id, m.id
       for no key update of m;

    -- A statement can update a row only once: the second report of a message comes in the next turn.
    for this_turn in 1 .. coalesce(last_turn, 0) loop
        return query
        with known as materialized (
            select t.*, m.id, m.number_id, m.conversation_id
              from unnest(reports) with ordinality as t
             cross join lateral (select o.* from messages o
                                  where o.workspace_id = t.workspace_id and o.id = found_messages[t.ordinality] limit 1) m
             where turns[t.ordinality] = this_turn
               -- Of two reports that name the same message with different provider ids, the first counts.
               and coalesce(m.provider_sid, t.provider_sid) = t.provider_sid
        ), updated as materialized (
            update messages o
               set status = case when o.status not in ('delivered', 'canceled') and status_rank(t.status) > status_rank(o.status)
                                 then t.status else o.status end,
                   lease_until = case when status_rank(t.status) > status_rank(o.status) then null else o.lease_until end,
                   provider_status = case when o.status in ('delivered', 'canceled') then o.provider_status else t.raw_status end,
                   error_code = case when o.status in ('delivered', 'canceled') then o.error_code
                                     else coalesce(o.error_code, t.error_code) end,
                   error_message = case when o.status in ('delivered', 'canceled') then o.error_message
                                        else coalesce(o.error_message, t.error_message) end,
                   provider_sid = t.provider_sid,
                   segments = coalesce(t.segments, o.segments),
                   price = coalesce(t.price::numeric, o.price), price_unit = coalesce(t.price_unit, o.price_unit),
                   updated_at = now()
              from known t
             where o.workspace_id = t.workspace_id and o.id = t.id
               and (o.provider_sid is null
                    or (o.status not in ('delivered', 'canceled')
                        and (status_rank(t.status) > status_rank(o.status) or o.provider_status is distinct from t.raw_status
                             or (o.error_code is null and t.error_code is not null)))
                    or coalesce(t.segments, o.segments) is distinct from o.segments
                    or coalesce(t.price::numeric, o.price) is distinct from o.price)
            returning t.ordinality as place
        ), journaled as (
            insert into webhooks (workspace_id, integration_id, number_id, provider, kind, via, provider_sid, outcome, detail, message_id)
            select t.workspace_id, t.integration_id, t.number_id, t.provider, 'status', t.via, t.provider_sid,
                   case when t.ordinality in (select u.place from updated u) then 'applied' else 'repeat' end, t.raw_status, t.id
              from known t
             order by t.ordinality
        )
        select t.ordinality, t.id, t.number_id, t.conversation_id, t.ordinality in (select u.place from updated u), false, null::uuid
          from known t;
    end loop;

    if exists (select from unnest(reports) with ordinality as t where found_messages[t.ordinality] is null or turns[t.ordinality] > 1) then
        insert into webhooks (workspace_id, integration_id, provider, kind, via, provider_sid, outcome, detail)
        select t.workspace_id, t.integration_id, t.provider, 'status', t.via, t.provider_sid, 'ignored', t.raw_status
          from unnest(reports) with ordinality as t
         where not exists (select from messages m
                            where m.workspace_id = t.workspace_id and m.id = found_messages[t.ordinality] and m.provider_sid = t.provider_sid)
         order by t.ordinality;
    end if;

    update conversations v
       set last_message_status = l.status
      from (select m.workspace_id, m.conversation_id, m.id, m.status
              from (select distinct t.workspace_id, found_messages[t.ordinality] as id from unnest(reports) with ordinality as t) k
              join messages m on m.workspace_id = k.workspace_id and m.id = k.id
             order by m.workspace_id, m.conversation_id) as l
     where v.workspace_id = l.workspace_id and v.id = l.conversation_id and v.last_message_id = l.id
       and v.last_message_status <> l.status;

    if exists (select from unnest(reports) as t where t.is_opt_out) then
        return query
        select t.ordinality, m.id, m.number_id, m.conversation_id, false,
               record_consent(t.workspace_id, m.id, 'stop', 'provider', t.error_code), null::uuid
          from unnest(reports) with ordinality as t
          join messages m on m.workspace_id = t.workspace_id and m.id = found_messages[t.ordinality] and m.provider_sid = t.provider_sid
         where t.is_opt_out
         order by t.ordinality;
    end if;

    -- The provider canceled it, so it was never sent.
    if exists (select from unnest(reports) as t where t.status = 'canceled') then
        return query
        select t.ordinality, m.id, m.number_id, m.conversation_id, false, false, r.account
          from unnest(reports) with ordinality as t
          join messages m on m.workspace_id = t.workspace_id and m.id = found_messages[t.ordinality] and m.provider_sid = t.provider_sid
         cross join lateral return_credit(t.workspace_id, m.id) r
         where t.status = 'canceled'
         order by t.ordinality;
    end if;
end $$;
grant execute on function apply_delivery_reports to messagehub_system;
