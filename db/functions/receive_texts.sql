-- Stores a batch of inbound texts: one call, one round trip, one transaction. Returns a row for each text that is stored, by this
-- call or by an earlier one (`added` is false); texts whose contact was deleted meanwhile have none, and the caller calls again.
--
-- Plans are made once per connection and kept, even if the tables were empty at that time. So each text looks up its contact and its
-- conversation in a sub-query of its own, by an equality on a whole unique key, and rows are changed by `insert ... on conflict`,
-- whose index is not a choice.
--
-- Rows are locked in this order by all servers, so that batches wait for each other instead of deadlocking: contacts by phone
-- number, conversations by pair, messages by provider_sid, conversations by id, numbers by id.
create or replace function receive_texts(texts inbound_text[])
    returns table (place bigint, added boolean, message_id uuid, conversation_id uuid, contact_id uuid, created_at timestamptz,
                   number_touched boolean)
    language plpgsql
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
#variable_conflict use_column
declare
    contacts_found uuid[]; -- of each text, or null
    conversations_found uuid[];
    number_added integer;
    any_media boolean;
    any_keyword boolean;
    t record;
    contact uuid;
    conversation uuid;
begin
    select array_agg(f.contact order by t.ordinality), array_agg(f.conversation order by t.ordinality),
           bool_or(t.media is not null), bool_or(t.keyword is not null)
      into contacts_found, conversations_found, any_media, any_keyword
      from unnest(texts) with ordinality as t
      left join lateral (
           select coalesce(c.merged_into, c.id) as contact,
                  (select v.id from conversations v
                    where v.workspace_id = t.workspace_id and v.contact_id = coalesce(c.merged_into, c.id) and v.number_id = t.number_id) as conversation
             from contacts c
            where c.workspace_id = t.workspace_id and c.phone_number = t.sender
            limit 1) f on true;

    -- Strangers, one by one: they are few, and simple statements start faster than one for all of them.
    if array_position(conversations_found, null) is not null then
        for t in select n.* from unnest(texts) with ordinality as n where contacts_found[n.ordinality] is null order by n.workspace_id, n.sender
        loop
            insert into contacts (workspace_id, id, phone_number, texted) values (t.workspace_id, t.contact_id, t.sender, true)
                on conflict do nothing
            returning id into contact;
            if contact is null then -- added just now, by this batch or by another one
                select coalesce(c.merged_into, c.id) into contact from contacts c
                 where c.workspace_id = t.workspace_id and c.phone_number = t.sender;
            end if;
            contacts_found[t.ordinality] := contact;
        end loop;

        for t in select n.* from unnest(texts) with ordinality as n
                  where conversations_found[n.ordinality] is null and contacts_found[n.ordinality] is not null
                  order by n.workspace_id, contacts_found[n.ordinality], n.number_id
        loop
            -- A trigger follows a merge that has just ended.
            insert into conversations (workspace_id, id, contact_id, number_id)
            values (t.workspace_id, t.conversation_id, contacts_found[t.ordinality], t.number_id)
                on conflict do nothing
            returning id, contact_id into conversation, contact;
            if conversation is null then
                select v.id, v.contact_id into conversation, contact from contacts c
                  join conversations v on v.workspace_id = c.workspace_id and v.contact_id = coalesce(c.merged_into, c.id) and v.number_id = t.number_id
                 where c.workspace_id = t.workspace_id and c.phone_number = t.sender;
            end if;
            contacts_found[t.ordinality] := contact;
            conversations_found[t.ordinality] := conversation;
        end loop;
    end if;

    return query
    with arrived as materialized (
        select t.*, contacts_found[t.ordinality] as contact, conversations_found[t.ordinality] as conversation,
               coalesce(t.provider_time, now()) as at
          from unnest(texts) with ordinality as t
         where conversations_found[t.ordinality] is not null
         order by t.workspace_id, t.integration_id, t.provider_sid, t.ordinality
    ), inserted as (
        insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction,
                              content, message_type, status, provider, provider_sid, segments, created_at)
        select a.workspace_id, a.message_id, a.conversation, a.contact, a.number_id, a.integration_id, 'inbound',
               a.content, case when a.media is null then 'text' else 'media' end, 'received', a.provider, a.provider_sid, a.segments, a.at
          from arrived a
            on conflict (workspace_id, integration_id, provider_sid) where provider_sid is not null do nothing
        returning id
    ), added as materialized (
        select a.* from arrived a where a.message_id in (select i.id from inserted i)
    ), journaled as (
        insert into webhooks (workspace_id, id, integration_id, number_id, provider, kind, via, provider_sid, outcome, message_id)
        select a.workspace_id, a.webhook_id, a.integration_id, a.number_id, a.provider, 'inbound', a.via, a.provider_sid, 'stored', a.message_id
          from added a
         where a.via is not null
    ), updated as (
        -- The conversation exists: its row is only proposed, to be updated. Were it deleted at this moment, it would come back with
        -- the mark 'epoch', and the batch is refused below.
        insert into conversations as v (workspace_id, id, contact_id, number_id, unread_count, last_message_at, last_message_preview,
                                        last_message_id, near_stop_id, waiting_since, updated_at)
        select distinct on (a.workspace_id, a.conversation) a.workspace_id, a.conversation, a.contact, a.number_id,
               (count(*) filter (where not a.is_reaction) over w)::integer, a.at, a.preview, a.message_id,
               (max(case when a.near_stop then a.message_id::text end) over w)::uuid,
               -- Nobody waits for an answer that cannot be given.
               min(a.at) filter (where not a.is_reaction and a.keyword is distinct from 'stop' and a.sender like '+%') over w, 'epoch'
          from added a
        window w as (partition by a.workspace_id, a.conversation)
         order by a.workspace_id, a.conversation, a.at desc, a.ordinality desc
            on conflict (workspace_id, id) do update
           -- A reaction does not reopen a conversation or make it unread.
           set unread_count = v.unread_count + excluded.unread_count,
               status = case when excluded.unread_count > 0 then 'open' else v.status end,
               snoozed_until = case when excluded.unread_count > 0 then null else v.snoozed_until end,
               -- A late text is not the newest.
               last_message_at = case when v.last_message_id is null or excluded.last_message_at >= v.last_message_at
                   then excluded.last_message_at else v.last_message_at end,
               last_message_preview = case when v.last_message_id is null or excluded.last_message_at >= v.last_message_at
                   then excluded.last_message_preview else v.last_message_preview end,
               last_message_direction = case when v.last_message_id is null or excluded.last_message_at >= v.last_message_at
                   then 'inbound' else v.last_message_direction end,
               last_message_status = case when v.last_message_id is null or excluded.last_message_at >= v.last_message_at
                   then 'received' else v.last_message_status end,
               last_message_id = case when v.last_message_id is null or excluded.last_message_at >= v.last_message_at
                   then excluded.last_message_id else v.last_message_id end,
               near_stop_id = coalesce(excluded.near_stop_id, v.near_stop_id),
               waiting_since = coalesce(v.waiting_since, excluded.waiting_since),
               updated_at = now()
        returning v.updated_at = 'epoch' as was_deleted
    ), touched as (
        -- The newest text by webhook, and the newest one found only by comparing lists, which says nothing about the webhook. At most
        -- one update a minute: otherwise all texts of a number would wait for its row.
        update numbers n
           set last_inbound_at = case when d.delivered_at > coalesce(n.last_inbound_at, '-infinity') + interval '1 minute'
                                      then d.delivered_at else n.last_inbound_at end,
               last_missed_at = case when d.missed_at > coalesce(n.last_missed_at, '-infinity') + interval '1 minute'
                                     then d.missed_at else n.last_missed_at end
          from (select a.workspace_id, a.number_id, max(case when a.via is null or a.via = 'webhook' then a.at end) as delivered_at,
                       max(case when a.via = 'catch_up' then a.at end) as missed_at
                  from added a
                 group by a.workspace_id, a.number_id
                 order by a.workspace_id, a.number_id) as d
         where n.workspace_id = d.workspace_id and n.id = d.number_id
           and (d.delivered_at > coalesce(n.last_inbound_at, '-infinity') + interval '1 minute'
                or d.missed_at > coalesce(n.last_missed_at, '-infinity') + interval '1 minute')
        returning n.id
    )
    select a.ordinality, true, a.message_id, a.conversation, a.contact, a.at, a.number_id in (select n.id from touched n)
      from added a
     where (select bool_or(u.was_deleted) from updated u) is not true;
    get diagnostics number_added = row_count;

    if number_added < cardinality(texts) then
        if number_added = 0 and exists (select from unnest(texts) as t
                                         where exists (select from messages m where m.workspace_id = t.workspace_id and m.id = t.message_id)) then
            raise exception 'a conversation was deleted' using errcode = 'MH001';
        end if;
        return query
        with repeated as materialized (
            select t.*, m.id, m.conversation, m.contact, m.at
              from unnest(texts) with ordinality as t
             cross join lateral (select s.id, s.conversation_id as conversation, s.contact_id as contact, s.created_at as at
                                   from messages s
                                  where s.workspace_id = t.workspace_id and s.integration_id = t.integration_id and s.provider_sid = t.provider_sid
                                  limit 1) m
             where m.id <> t.message_id
        ), journaled as (
            insert into webhooks (workspace_id, id, integration_id, number_id, provider, kind, via, provider_sid, outcome, message_id)
            select r.workspace_id, r.webhook_id, r.integration_id, r.number_id, r.provider, 'inbound', r.via, r.provider_sid, 'repeat', r.id
              from repeated r
             -- Comparing lists finds the same texts every time.
             where r.via in ('webhook', 'release')
        )
        select r.ordinality, false, r.id, r.conversation, r.contact, r.at, false from repeated r;
    end if;

    if any_media then
        insert into message_media (workspace_id, id, message_id, position, content_type, source_url, integration_id)
        select t.workspace_id, (m.value ->> 'id')::uuid, t.message_id, m.position - 1, m.value ->> 'content_type', m.value ->> 'url', t.integration_id
          from unnest(texts) as t
         cross join jsonb_array_elements(t.media) with ordinality as m (value, position)
         where exists (select from messages s where s.workspace_id = t.workspace_id and s.id = t.message_id);
    end if;

    -- Few texts are opt-out or opt-in keywords. In their order, so that of two in one batch the later one holds.
    if any_keyword then
        perform record_consent(t.workspace_id, t.message_id, t.keyword)
           from unnest(texts) with ordinality as t
          cross join lateral (select m.contact_id, m.number_id from messages m
                               where m.workspace_id = t.workspace_id and m.id = t.message_id limit 1) m
          where t.keyword is not null
            -- Most people who write YES answer a question.
            and (t.keyword <> 'yes'
                 or exists (select from opt_outs o where o.workspace_id = t.workspace_id and o.contact_id = m.contact_id))
            -- A late keyword does not undo a newer one.
            and (t.provider_time is null
                 or not exists (select from consents c
                                 where c.workspace_id = t.workspace_id and c.contact_id = m.contact_id
                                   and c.number_id = m.number_id and c.created_at > t.provider_time))
          order by t.ordinality;
    end if;
end $$;
grant execute on function receive_texts to messagehub_system;
