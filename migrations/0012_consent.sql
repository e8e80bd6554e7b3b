-- Who wants no more texts from which number, and the proof of every change of mind.

create table consents (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    contact_id   uuid not null,
    number_id    uuid not null,
    wish         text not null check (wish in ('stop', 'start')),
    source       text not null check (source in ('text', 'provider', 'agent', 'import')),
    proof        text not null default '',           -- their words, the provider's code, the agent's reason
    message_id   uuid,                               -- the text it was in, or that met with it
    actor_id     uuid default current_user_id(),     -- the agent; null: they themselves, or the provider
    actor_name   text not null default '',
    created_at   timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index consents_of_contact on consents (workspace_id, contact_id, created_at desc, id desc);
select confine_to_workspace('consents',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
grant select, insert on consents to messagehub_people, messagehub_system;
grant delete on opt_outs to messagehub_system;

-- They said STOP or START, or the provider says that they did. Only a change is written down.
create function hear_wish(workspace uuid, message uuid, wish text, origin text default 'text', evidence text default null)
    returns boolean
    language plpgsql
as $$
declare
    m messages;
begin
    select * into m from messages t where t.workspace_id = workspace and t.id = message;
    if wish = 'stop' then
        insert into opt_outs (workspace_id, contact_id, number_id, source, proof)
        values (workspace, m.contact_id, m.number_id, origin, left(coalesce(evidence, m.content), 200))
            on conflict do nothing;
    else
        delete from opt_outs o
         where o.workspace_id = workspace and o.contact_id = m.contact_id and o.number_id = m.number_id;
    end if;
    if found then
        insert into consents (workspace_id, contact_id, number_id, wish, source, proof, message_id)
        values (workspace, m.contact_id, m.number_id, wish, origin, left(coalesce(evidence, m.content), 200), message);
        return true;
    end if;
    return false;
end $$;
grant execute on function hear_wish(uuid, uuid, text, text, text) to messagehub_system;

-- As before, and now hears what texts wish.
drop function receive_texts(uuid[], uuid[], uuid[], text[], text[], text[], text[], text[], smallint[], jsonb[], uuid[], uuid[], uuid[]);
create function receive_texts(
    workspaces uuid[], integrations uuid[], numbers uuid[], providers text[], provider_sids text[],
    senders text[], contents text[], previews text[], segments smallint[], media jsonb[],
    message_ids uuid[], conversation_ids uuid[], contact_ids uuid[], wishes text[])
    returns table (place bigint, added boolean, message_id uuid, conversation_id uuid, woken boolean)
    language plpgsql
    -- Planned once per connection, not per call: planning costs more than storing a text. Such a plan is kept, and must not
    -- be one for the small tables of the first day, which are read from end to end: each text looks up its own by index
    -- (below in scalar sub-queries, for `not exists` becomes a join that may look up by half of its key).
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
declare
    woken uuid[];
    stored uuid[]; -- the texts that were new
    stored_in uuid[]; -- and their conversations
begin
    insert into contacts (workspace_id, id, phone_number)
    select distinct on (t.workspace, t.sender) t.workspace, t.contact, t.sender
      from unnest(workspaces, senders, contact_ids) as t (workspace, sender, contact)
     where (select c.id from contacts c where c.workspace_id = t.workspace and c.phone_number = t.sender) is null
     order by t.workspace, t.sender
        on conflict do nothing;

    insert into conversations (workspace_id, id, contact_id, number_id)
    select distinct on (t.workspace, c.id, t.number) t.workspace, t.conversation, c.id, t.number
      from unnest(workspaces, numbers, senders, conversation_ids) as t (workspace, number, sender, conversation)
      join contacts c on c.workspace_id = t.workspace and c.phone_number = t.sender
     where (select v.id from conversations v
             where v.workspace_id = t.workspace and v.contact_id = c.id and v.number_id = t.number) is null
     order by t.workspace, c.id, t.number
        on conflict do nothing;

    with arrived as (
        select t.place, t.workspace, t.integration, t.number, t.provider, t.provider_sid, t.content, t.preview,
               t.segments, t.media, t.message, c.id as contact, v.id as conversation
          from unnest(workspaces, integrations, numbers, providers, provider_sids, senders, contents, previews,
                      segments, media, message_ids)
               with ordinality as t (workspace, integration, number, provider, provider_sid, sender, content, preview,
                                     segments, media, message, place)
          join contacts c on c.workspace_id = t.workspace and c.phone_number = t.sender
          join conversations v on v.workspace_id = t.workspace and v.contact_id = c.id and v.number_id = t.number
    ), added as (
        insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction,
                              content, message_type, status, provider, provider_sid, segments)
        select a.workspace, a.message, a.conversation, a.contact, a.number, a.integration, 'inbound',
               a.content, case when jsonb_array_length(a.media) > 0 then 'media' else 'text' end,
               'received', a.provider, a.provider_sid, a.segments
          from arrived a
         order by a.workspace, a.conversation, a.place
            on conflict (workspace_id, integration_id, provider_sid) do nothing
        returning workspace_id, id, conversation_id
    ), pictured as (
        insert into message_media (workspace_id, id, message_id, position, content_type, source_url)
        select a.workspace, (m.value ->> 'id')::uuid, n.id, m.position - 1, m.value ->> 'content_type', m.value ->> 'url'
          from arrived a
          join added n on n.workspace_id = a.workspace and n.id = a.message
         cross join jsonb_array_elements(a.media) with ordinality as m (value, position)
    ), grown as (
        select a.workspace, a.conversation, count(*)::integer as texts, max(a.place) as last
          from arrived a
          join added n on n.workspace_id = a.workspace and n.id = a.message
         group by a.workspace, a.conversation
    ), touched as (
        update conversations v
           set unread_count = v.unread_count + l.texts,
               status = 'open', snoozed_until = null,
               last_message_at = now(), last_message_preview = l.preview, last_message_direction = 'inbound',
               last_message_status = 'received', last_message_id = l.message, updated_at = now()
          -- In key order, row by row as the nested loop finds them: two batches wait for each other, never crosswise.
          from (select g.workspace, g.conversation, g.texts, l.preview, l.message
                  from grown g
                  join arrived l on l.workspace = g.workspace and l.conversation = g.conversation and l.place = g.last
                 order by g.workspace, g.conversation) as l
         where v.workspace_id = l.workspace and v.id = l.conversation
    )
    select array_agg(n.id), array_agg(n.conversation_id) into stored, stored_in from added n;

    -- To the minute is enough for people, and spares the row that every text of a number would wait for.
    with heard as (
        update numbers n
           set last_inbound_at = now()
          from (select distinct t.workspace, t.number from unnest(workspaces, numbers) as t (workspace, number)
                 order by t.workspace, t.number) as h
         where n.workspace_id = h.workspace and n.id = h.number
           and (n.last_inbound_at is null or n.last_inbound_at < now() - interval '1 minute')
        returning n.id
    )
    select array_agg(id) into woken from heard;

    -- Hardly any text is a wish; those that were new are heard in their order, of two in one batch the later one.
    if exists (select from unnest(wishes) as t (wish) where wish is not null) then
        perform hear_wish(t.workspace, t.message, t.wish)
           from unnest(workspaces, message_ids, wishes) with ordinality as t (workspace, message, wish, place)
          where t.wish is not null and t.message = any (stored)
          order by t.place;
    end if;

    return query
    select t.place, true, t.message, n.conversation, coalesce(t.number = any (woken), false)
      from unnest(numbers, message_ids) with ordinality as t (number, message, place)
      join unnest(stored, stored_in) as n (message, conversation) on n.message = t.message;

    -- Repeats. A statement of its own, so that it sees what the one before stored, and what others did meanwhile.
    return query
    select t.place, false, m.id, m.conversation_id, coalesce(t.number = any (woken), false)
      from unnest(workspaces, integrations, numbers, provider_sids, message_ids)
           with ordinality as t (workspace, integration, number, provider_sid, message, place)
      join messages m on m.workspace_id = t.workspace and m.integration_id = t.integration
                     and m.provider_sid = t.provider_sid
     where t.message <> all (coalesce(stored, '{}'));
end $$;
grant execute on function receive_texts(uuid[], uuid[], uuid[], text[], text[], text[], text[], text[], smallint[],
                                        jsonb[], uuid[], uuid[], uuid[], text[]) to messagehub_system;
