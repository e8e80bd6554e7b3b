-- Applies delivery reports in the order in which they came: one call, one transaction. A status only moves forward, the first error
-- stays, and a repeated report changes nothing.
create or replace function apply_delivery_reports(
    workspaces uuid[], integrations uuid[], providers text[], provider_sids text[], our_ids uuid[], statuses text[],
    raw_statuses text[], error_codes text[], error_messages text[], opt_outs boolean[], segments smallint[], prices numeric[],
    price_units text[], vias text[])
    returns table (place bigint, message_id uuid, number_id uuid, conversation_id uuid, changed boolean, canceled boolean,
                   opted_out boolean)
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
    t record;
    m messages;
    became text;
    -- For the journal, of each report.
    outcomes text[] := array[]::text[];
    applied_to uuid[] := array[]::uuid[];
    numbers_of uuid[] := array[]::uuid[];
begin
    select array_agg(f.id order by t.place) into found_messages
      from unnest(workspaces, integrations, provider_sids, our_ids)
           with ordinality as t (workspace, integration, provider_sid, our_id, place)
      left join lateral (
           select m.id from messages m
            where m.workspace_id = t.workspace and m.integration_id = t.integration and m.provider_sid = t.provider_sid
              and m.direction = 'outbound'
           union all
           -- The report came before the answer to the send request: found by the id in the callback URL.
           select m.id from messages m
            where m.workspace_id = t.workspace and m.id = t.our_id and m.integration_id = t.integration
              and m.provider_sid is null and m.direction = 'outbound'
           limit 1) f on true;

    -- In key order: batches of two servers wait for each other instead of deadlocking.
    perform from messages m
       join (select distinct k.workspace, k.id from unnest(workspaces, found_messages) as k (workspace, id) where k.id is not null) k
         on m.workspace_id = k.workspace and m.id = k.id
      order by m.workspace_id, m.id
        for update of m;

    for t in
        select * from unnest(workspaces, integrations, providers, provider_sids, found_messages, statuses, raw_statuses, error_codes,
                             error_messages, opt_outs, segments, prices, price_units, vias)
             with ordinality as r (workspace, integration, provider, provider_sid, message, status, raw_status, error_code,
                                   error_message, opt_out, segments, price, price_unit, via, place)
         order by r.place
    loop
        place := t.place; message_id := null; number_id := null; conversation_id := null;
        changed := false; canceled := false; opted_out := false;
        -- Of two reports that name the same message with different provider ids, the first counts.
        select * into m from messages o
         where o.workspace_id = t.workspace and o.id = t.message and coalesce(o.provider_sid, t.provider_sid) = t.provider_sid;
        if found then
            message_id := m.id; number_id := m.number_id; conversation_id := m.conversation_id;
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
                   price = coalesce(t.price, o.price), price_unit = coalesce(t.price_unit, o.price_unit),
                   updated_at = now()
             where o.workspace_id = t.workspace and o.id = m.id
               and (o.provider_sid is null
                    or (o.status not in ('delivered', 'canceled')
                        and (status_rank(t.status) > status_rank(o.status) or o.provider_status is distinct from t.raw_status
                             or (o.error_code is null and t.error_code is not null)))
                    or coalesce(t.segments, o.segments) is distinct from o.segments
                    or coalesce(t.price, o.price) is distinct from o.price)
            returning o.status into became;
            changed := found;
            canceled := changed and became = 'canceled' and m.status <> 'canceled';
            if t.opt_out then
                opted_out := record_consent(t.workspace, m.id, 'stop', 'provider', t.error_code);
            end if;
        end if;
        outcomes := outcomes || case when message_id is null then 'ignored' when changed then 'applied' else 'repeat' end;
        applied_to := applied_to || message_id;
        numbers_of := numbers_of || number_id;
        return next;
    end loop;

    insert into webhooks (workspace_id, integration_id, number_id, provider, kind, via, provider_sid, outcome, detail, message_id)
    select t.workspace, t.integration, t.number, t.provider, 'status', t.via, t.provider_sid, t.outcome, t.raw_status, t.message
      from unnest(workspaces, integrations, numbers_of, providers, vias, provider_sids, outcomes, raw_statuses, applied_to)
           with ordinality as t (workspace, integration, number, provider, via, provider_sid, outcome, raw_status, message, place)
     order by t.place;

    update conversations v
       set last_message_status = l.status
      from (select m.workspace_id, m.conversation_id, m.id, m.status
              from (select distinct k.workspace, k.id from unnest(workspaces, found_messages) as k (workspace, id) where k.id is not null) k
              join messages m on m.workspace_id = k.workspace and m.id = k.id
             order by m.workspace_id, m.conversation_id) as l
     where v.workspace_id = l.workspace_id and v.id = l.conversation_id and v.last_message_id = l.id
       and v.last_message_status <> l.status;
end $$;
grant execute on function apply_delivery_reports to messagehub_system;
