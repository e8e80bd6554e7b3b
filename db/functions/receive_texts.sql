-- Stores a batch of inbound messages: one call, one round trip, one transaction.
--
-- Missing contacts and conversations are created in key order, so that batches of two servers wait for each other instead of
-- deadlocking. Then the messages are inserted; only those that were new (a repeated delivery is ignored) raise the unread counts,
-- each conversation once. `provider_times` is set for messages that arrive late. Messages from a merged contact's number go to the
-- survivor. Each statement sees what others committed before it, so a contact that another server creates at the same moment is
-- found.
create or replace function receive_texts(
    workspaces uuid[], integrations uuid[], numbers uuid[], providers text[], provider_sids text[],
    senders text[], contents text[], previews text[], segments smallint[], media jsonb[],
    message_ids uuid[], conversation_ids uuid[], contact_ids uuid[], keywords text[], near_stops boolean[], provider_times timestamptz[],
    vias text[], reactions boolean[])
    returns table (place bigint, added boolean, message_id uuid, conversation_id uuid, woken boolean)
    language plpgsql
    -- Planned once per connection, because planning costs more than storing a message. The plan is kept, even if it was made
    -- while the tables were empty. So no join decides which index is read: each message looks up its contact and its
    -- conversation by a whole unique key, in a sub-query of its own.
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
declare
    contacts_found uuid[]; -- of each message, or null
    conversations_found uuid[];
    woken_numbers uuid[];
    stored uuid[]; -- the messages that were new
    stored_in uuid[]; -- and their conversations
begin
    -- A second time after missing contacts and conversations were added, here or by another server at the same time.
    for attempt in 1 .. 2 loop
        select array_agg(t.contact order by t.place),
               array_agg((select v.id from conversations v
                           where v.workspace_id = t.workspace and v.contact_id = t.contact and v.number_id = t.number)
                         order by t.place)
          into contacts_found, conversations_found
          from (select t.*, (select coalesce(c.merged_into, c.id) from contacts c
                              where c.workspace_id = t.workspace and c.phone_number = t.sender) as contact
                  from unnest(workspaces, numbers, senders) with ordinality as t (workspace, number, sender, place)
                offset 0) as t;
        exit when attempt = 2 or array_position(conversations_found, null) is null;

        insert into contacts (workspace_id, id, phone_number)
        select distinct on (t.workspace, t.sender) t.workspace, t.contact, t.sender
          from unnest(workspaces, senders, contact_ids, contacts_found) as t (workspace, sender, contact, found)
         where t.found is null
         order by t.workspace, t.sender
            on conflict do nothing;

        insert into conversations (workspace_id, id, contact_id, number_id)
        select distinct on (t.workspace, t.contact, t.number) t.workspace, t.conversation, t.contact, t.number
          from (select t.*, coalesce(t.found, (select coalesce(c.merged_into, c.id) from contacts c
                                                where c.workspace_id = t.workspace and c.phone_number = t.sender)) as contact
                  from unnest(workspaces, numbers, senders, conversation_ids, contacts_found, conversations_found)
                       as t (workspace, number, sender, conversation, found, conversation_found)
                 where t.conversation_found is null
                offset 0) as t
         where t.contact is not null
         order by t.workspace, t.contact, t.number
            on conflict do nothing;
    end loop;

    with arrived as materialized (
        select t.*, coalesce(t.provider_time, now()) as at
          from unnest(workspaces, integrations, numbers, providers, provider_sids, contents, previews, segments, media, message_ids,
                      near_stops, reactions, provider_times, contacts_found, conversations_found)
               with ordinality as t (workspace, integration, number, provider, provider_sid, content, preview, segments, media, message,
                                     near_stop, reaction, provider_time, contact, conversation, place)
         where t.conversation is not null
    ), added as (
        insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction,
                              content, message_type, status, provider, provider_sid, segments, created_at)
        select a.workspace, a.message, a.conversation, a.contact, a.number, a.integration, 'inbound',
               a.content, case when jsonb_array_length(a.media) > 0 then 'media' else 'text' end,
               'received', a.provider, a.provider_sid, a.segments, a.at
          from arrived a
         order by a.workspace, a.conversation, a.place
            on conflict (workspace_id, integration_id, provider_sid) do nothing
        returning workspace_id, id, conversation_id
    ), added_media as (
        insert into message_media (workspace_id, id, message_id, position, content_type, source_url, integration_id)
        select a.workspace, (m.value ->> 'id')::uuid, n.id, m.position - 1, m.value ->> 'content_type', m.value ->> 'url', a.integration
          from arrived a
          join added n on n.workspace_id = a.workspace and n.id = a.message
         cross join jsonb_array_elements(a.media) with ordinality as m (value, position)
    ), counted_news as (
        select a.workspace, a.conversation, (count(*) filter (where not a.reaction))::integer as news,
               (array_agg(a.place order by a.at desc, a.place desc))[1] as last,
               (array_agg(a.message order by a.at desc, a.place desc) filter (where a.near_stop))[1] as near_stop
          from arrived a
          join added n on n.workspace_id = a.workspace and n.id = a.message
         group by a.workspace, a.conversation
    ), updated_conversations as (
        update conversations v
           -- A reaction does not reopen a conversation or make it unread.
           set unread_count = v.unread_count + l.news,
               status = case when l.news > 0 then 'open' else v.status end,
               snoozed_until = case when l.news > 0 then null else v.snoozed_until end,
               -- A late message is not the newest.
               last_message_at = case when l.provider_time is null or v.last_message_id is null or l.at >= v.last_message_at
                                      then l.at else v.last_message_at end,
               last_message_preview = case when l.provider_time is null or v.last_message_id is null or l.at >= v.last_message_at
                                           then l.preview else v.last_message_preview end,
               last_message_direction = case when l.provider_time is null or v.last_message_id is null or l.at >= v.last_message_at
                                             then 'inbound' else v.last_message_direction end,
               last_message_status = case when l.provider_time is null or v.last_message_id is null or l.at >= v.last_message_at
                                          then 'received' else v.last_message_status end,
               last_message_id = case when l.provider_time is null or v.last_message_id is null or l.at >= v.last_message_at
                                      then l.message else v.last_message_id end,
               near_stop_id = coalesce(l.near_stop, v.near_stop_id),
               updated_at = now()
          -- In key order, row by row in a nested loop: two batches cannot deadlock.
          from (select g.workspace, g.conversation, l.contact, l.number, g.news, g.near_stop, l.preview, l.message, l.provider_time, l.at
                  from counted_news g
                  join arrived l on l.workspace = g.workspace and l.conversation = g.conversation and l.place = g.last
                 order by g.workspace, g.conversation) as l
         where v.workspace_id = l.workspace and v.id = l.conversation
           -- On an empty table all indexes cost the same to the planner. With the pair, the one by number and contact finds one row too.
           and v.contact_id = l.contact and v.number_id = l.number
    )
    select array_agg(n.id), array_agg(n.conversation_id) into stored, stored_in from added n;

    -- The newest message by webhook, and the newest found only by comparing lists, which says nothing about the webhook. At most
    -- one update a minute: otherwise all messages of a number would wait for its row.
    with newest_inbound as (
        update numbers n
           set last_inbound_at = case when h.delivered_at > coalesce(n.last_inbound_at, '-infinity') + interval '1 minute'
                                      then h.delivered_at else n.last_inbound_at end,
               last_missed_at = case when h.missed_at > coalesce(n.last_missed_at, '-infinity') + interval '1 minute'
                                     then h.missed_at else n.last_missed_at end
          from (select t.workspace, t.number,
                       max(coalesce(t.provider_time, now())) filter (where t.via is null or t.via = 'webhook') as delivered_at,
                       max(coalesce(t.provider_time, now())) filter (where t.via = 'catch_up') as missed_at
                  from unnest(workspaces, numbers, message_ids, provider_times, vias) as t (workspace, number, message, provider_time, via)
                 where t.message = any (stored)
                 group by t.workspace, t.number
                 order by t.workspace, t.number) as h
         where n.workspace_id = h.workspace and n.id = h.number
           and (h.delivered_at > coalesce(n.last_inbound_at, '-infinity') + interval '1 minute'
                or h.missed_at > coalesce(n.last_missed_at, '-infinity') + interval '1 minute')
        returning n.id
    )
    select array_agg(id) into woken_numbers from newest_inbound;

    -- Few messages are opt-out or opt-in keywords. In their order, so that of two in one batch the later one holds.
    if exists (select from unnest(keywords) as t (keyword) where keyword is not null) then
        perform record_consent(t.workspace, t.message, t.keyword)
           from unnest(workspaces, message_ids, keywords, provider_times) with ordinality as t (workspace, message, keyword, provider_time, place)
           join messages m on m.workspace_id = t.workspace and m.id = t.message
          where t.keyword is not null and t.message = any (stored)
            -- A late keyword does not undo a newer one.
            and (t.provider_time is null
                 or not exists (select from consents c
                                 where c.workspace_id = m.workspace_id and c.contact_id = m.contact_id
                                   and c.number_id = m.number_id and c.created_at > t.provider_time))
          order by t.place;
    end if;

    return query
    with stored_and_repeated as (
        select t.place, true as added, t.message, n.conversation, t.workspace, t.integration, t.number, t.provider,
               t.provider_sid, t.via
          from unnest(workspaces, integrations, numbers, providers, provider_sids, message_ids, vias)
               with ordinality as t (workspace, integration, number, provider, provider_sid, message, via, place)
          join unnest(stored, stored_in) as n (message, conversation) on n.message = t.message
        union all
        -- Repeats. This statement sees what the statements above and other transactions have stored.
        select t.place, false, m.id, m.conversation_id, t.workspace, t.integration, t.number, t.provider, t.provider_sid, t.via
          from unnest(workspaces, integrations, numbers, providers, provider_sids, message_ids, vias)
               with ordinality as t (workspace, integration, number, provider, provider_sid, message, via, place)
          join messages m on m.workspace_id = t.workspace and m.integration_id = t.integration
                         and m.provider_sid = t.provider_sid
         where t.message <> all (coalesce(stored, '{}'))
    ), journaled as (
        insert into webhooks (workspace_id, integration_id, number_id, provider, kind, via, provider_sid, outcome, message_id)
        select t.workspace, t.integration, t.number, t.provider, 'inbound', t.via, t.provider_sid,
               case when t.added then 'stored' else 'repeat' end, t.message
          from stored_and_repeated t
         -- Comparing lists finds the same messages every time: only missing ones are journaled.
         where t.via in ('webhook', 'release') or (t.via = 'catch_up' and t.added)
    )
    select t.place, t.added, t.message, t.conversation, coalesce(t.number = any (woken_numbers), false) from stored_and_repeated t;
end $$;
grant execute on function receive_texts to messagehub_system;
