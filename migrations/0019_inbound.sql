-- What providers told us and what became of it; what could not be verified, until an admin has looked at it; and reports of
-- texts on their way, many at a time.

-- Every call of a provider about a number or an account that we know, written in the transaction that it is about. Texts are
-- not repeated here. Kept for 30 days.
create table webhooks (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    id             uuid not null default new_id(),
    integration_id uuid not null,
    number_id      uuid,                             -- null: a report, or one whose number nobody could read
    provider       text not null,
    kind           text not null check (kind in ('inbound', 'status')),
    via            text not null check (via in ('webhook', 'catch_up', 'release')), -- their call, their list, our quarantine
    provider_sid   text not null default '',
    outcome        text not null check (outcome in ('stored', 'repeat', 'applied', 'ignored', 'malformed', 'quarantined')),
    detail         text not null default '',         -- the status that was reported, or what was wrong
    message_id     uuid,
    created_at     timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, integration_id) references integrations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index webhooks_of_sid on webhooks (workspace_id, provider_sid, id desc);                  -- looking one up
create index webhooks_amiss on webhooks (workspace_id, outcome, id desc)
    where outcome not in ('stored', 'applied');                                                  -- the rare ones among many
select confine_to_workspace('webhooks', readers => '(select i_am_admin())', writers => 'false');
grant select on webhooks to messagehub_people;
grant select, insert, delete on webhooks to messagehub_system;

-- Calls about our numbers whose signature did not fit: a wrong address here, a rotated secret, or somebody's invention. They
-- wait for an admin, with all that is needed to take them as if they had been good.
create table quarantine (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    id             uuid not null default new_id(),
    integration_id uuid not null,
    number_id      uuid,
    provider       text not null,
    kind           text not null check (kind in ('inbound', 'status')),
    provider_sid   text not null,
    sender         text not null default '',
    method         text not null check (method in ('GET', 'POST')),
    url            text not null check (length(url) <= 4096), -- what the signature was checked against
    content_type   text not null default '',
    body           bytea not null check (length(body) <= 16384),
    cause          text not null,                    -- why it probably did not fit, in words
    fingerprint    bytea not null,                   -- of what it says: a repeat is counted, not kept
    times          integer not null default 1,
    state          text not null default 'waiting' check (state in ('waiting', 'released', 'discarded')),
    settled_at     timestamptz,
    tried_at       timestamptz,                      -- when it could not be released; those go to the end of the queue
    created_at     timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    constraint quarantine_once unique (workspace_id, fingerprint),
    foreign key (workspace_id, integration_id) references integrations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index quarantine_waiting on quarantine (workspace_id, integration_id, number_id, id) where state = 'waiting';
select confine_to_workspace('quarantine', readers => '(select i_am_admin())', writers => '(select i_am_admin())');
grant select, update (state, settled_at, tried_at, body) on quarantine to messagehub_people;
grant select, insert, update, delete on quarantine to messagehub_system;

-- STOP to one number can hold for all of them.
alter table workspaces add column opt_out_scope text not null default 'number' check (opt_out_scope in ('number', 'workspace'));
create index opt_outs_newest on opt_outs (workspace_id, created_at desc); -- the list

-- The newest text of theirs that only sounds like STOP, until somebody has judged it.
alter table conversations add column near_stop_id uuid;

-- Whether this contact may not be texted from this number. Whoever may see the one number may know it, also where it is for
-- what they wrote to another.
create function is_opted_out(workspace uuid, contact uuid, number uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from opt_outs o
                    where o.workspace_id = workspace and o.contact_id = contact
                      and workspace = coalesce(current_workspace(), workspace)
                      and (o.number_id = number
                           or (select w.opt_out_scope from workspaces w where w.id = workspace) = 'workspace'));
end $$;
grant execute on function is_opted_out(uuid, uuid, uuid) to messagehub_people, messagehub_system;

-- An agent writes down that a contact may be texted again; where a STOP holds for all numbers, so does that. Answers how many
-- were lifted.
create function lift_opt_outs(contact uuid, number uuid, evidence text, agent text) returns bigint
    language sql volatile security definer set search_path = public, pg_temp
begin atomic
    with lifted as (
        delete from opt_outs o
         where o.workspace_id = my_workspace() and o.contact_id = contact
           and (o.number_id = number
                or (select w.opt_out_scope from workspaces w where w.id = my_workspace()) = 'workspace')
        returning o.number_id
    ), written as (
        insert into consents (workspace_id, contact_id, number_id, wish, source, proof, actor_id, actor_name)
        select my_workspace(), contact, l.number_id, 'start', 'agent', evidence, current_user_id(), agent from lifted l
        returning 1
    )
    select count(*) from written;
end;
grant execute on function lift_opt_outs(uuid, uuid, text, text) to messagehub_people;

-- Opted out means not texted, also what was queued before: by the wish itself, whoever writes it down, and where a text comes
-- back to the queue after it. The credit is returned when all that belongs to the deed is done, so that accounts are locked last.
create function call_off_queued() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with called_off as (
        update messages m
           set status = 'failed', error_code = 'contact_opted_out',
               error_message = 'Before it could be sent, the contact opted out.', updated_at = now()
          from conversations v
         where v.workspace_id = new.workspace_id and v.contact_id = new.contact_id
           and m.workspace_id = v.workspace_id and m.conversation_id = v.id and m.direction = 'outbound' and m.status = 'queued'
           and is_opted_out(v.workspace_id, v.contact_id, v.number_id)
        returning m.workspace_id, m.conversation_id, m.id
    )
    update conversations v set last_message_status = 'failed'
      from called_off c
     where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id;
    return null;
end $$;
create trigger calls_off after insert on opt_outs for each row execute function call_off_queued();

create function refuse_opted_out() returns trigger
    language plpgsql
as $$ begin
    if is_opted_out(new.workspace_id, new.contact_id, new.number_id) then
        new.status := 'failed';
        new.error_code := 'contact_opted_out';
        new.error_message := 'Before it could be sent, the contact opted out.';
    end if;
    return new;
end $$;
create trigger stays_off before update on messages for each row
    when (new.status = 'queued' and old.status in ('sending', 'unconfirmed'))
    execute function refuse_opted_out();

create function return_credit_of_opted_out() returns trigger
    language plpgsql
as $$ begin
    perform return_credit(new.workspace_id, new.id);
    return null;
end $$;
create constraint trigger returns_credit after update on messages deferrable initially deferred for each row
    when (new.status = 'failed' and new.error_code = 'contact_opted_out' and old.status <> 'failed')
    execute function return_credit_of_opted_out();
grant execute on function call_off_queued(), refuse_opted_out(), return_credit_of_opted_out()
    to messagehub_people, messagehub_system;

grant create on schema public to messagehub_system;
alter function is_opted_out(uuid, uuid, uuid) owner to messagehub_system;
alter function lift_opt_outs(uuid, uuid, text, text) owner to messagehub_system;
alter function call_off_queued() owner to messagehub_system;
revoke create on schema public from messagehub_system;

-- As before; a START holds as far as a STOP does, and either settles what only sounded like one. `yes` lifts only what they
-- texted or the provider reported: people answer other questions with it, too.
create or replace function hear_wish(workspace uuid, message uuid, wish text, origin text default 'text', evidence text default null)
    returns boolean
    language plpgsql
as $$
declare
    m messages;
    proof text;
    numbers uuid[];
begin
    select * into m from messages t where t.workspace_id = workspace and t.id = message;
    proof := left(coalesce(evidence, m.content), 200);
    if wish = 'stop' then
        with added as (
            insert into opt_outs (workspace_id, contact_id, number_id, source, proof)
            values (workspace, m.contact_id, m.number_id, origin, proof)
                on conflict do nothing
            returning number_id
        )
        select array_agg(number_id) into numbers from added;
    else
        with lifted as (
            delete from opt_outs o
             where o.workspace_id = workspace and o.contact_id = m.contact_id
               and (o.number_id = m.number_id
                    or (select w.opt_out_scope from workspaces w where w.id = workspace) = 'workspace')
               and (wish = 'start' or o.source in ('text', 'provider'))
            returning number_id
        )
        select array_agg(number_id) into numbers from lifted;
        if wish = 'yes' and numbers is null then
            return false; -- an answer to something else
        end if;
    end if;
    update conversations v set near_stop_id = null
     where v.workspace_id = workspace and v.id = m.conversation_id and v.near_stop_id is not null;
    insert into consents (workspace_id, contact_id, number_id, wish, source, proof, message_id)
    select workspace, m.contact_id, n, case wish when 'stop' then 'stop' else 'start' end, origin, proof, message from unnest(numbers) as n;
    return found;
end $$;

-- As before; and it knows when a text came that comes late, hears what only sounds like STOP, and keeps the journal.
drop function receive_texts(uuid[], uuid[], uuid[], text[], text[], text[], text[], text[], smallint[], jsonb[], uuid[], uuid[],
                            uuid[], text[]);
create function receive_texts(
    workspaces uuid[], integrations uuid[], numbers uuid[], providers text[], provider_sids text[],
    senders text[], contents text[], previews text[], segments smallint[], media jsonb[],
    message_ids uuid[], conversation_ids uuid[], contact_ids uuid[], wishes text[], near_stops boolean[], told_at timestamptz[],
    vias text[], reactions boolean[])
    returns table (place bigint, added boolean, message_id uuid, conversation_id uuid, woken boolean)
    language plpgsql
    -- Planned once per connection, not per call: planning costs more than storing a text. Such a plan is kept, also when it was made
    -- while the tables were empty. So no join has a say in which index is read: each text looks up its contact and its conversation by
    -- a whole unique key, in a sub-query of its own.
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
declare
    contacts_found uuid[]; -- of each text, or null
    conversations_found uuid[];
    woken uuid[];
    stored uuid[]; -- the texts that were new
    stored_in uuid[]; -- and their conversations
begin
    -- The second time after a stranger's contact and conversation were added, or somebody else added them at the same time.
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
        select t.*, coalesce(t.told_at, now()) as at
          from unnest(workspaces, integrations, numbers, providers, provider_sids, contents, previews, segments, media, message_ids,
                      near_stops, reactions, told_at, contacts_found, conversations_found)
               with ordinality as t (workspace, integration, number, provider, provider_sid, content, preview, segments, media, message,
                                     near_stop, reaction, told_at, contact, conversation, place)
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
    ), pictured as (
        insert into message_media (workspace_id, id, message_id, position, content_type, source_url, integration_id)
        select a.workspace, (m.value ->> 'id')::uuid, n.id, m.position - 1, m.value ->> 'content_type', m.value ->> 'url', a.integration
          from arrived a
          join added n on n.workspace_id = a.workspace and n.id = a.message
         cross join jsonb_array_elements(a.media) with ordinality as m (value, position)
    ), grown as (
        select a.workspace, a.conversation, (count(*) filter (where not a.reaction))::integer as news,
               (array_agg(a.place order by a.at desc, a.place desc))[1] as last,
               (array_agg(a.message order by a.at desc, a.place desc) filter (where a.near_stop))[1] as near_stop
          from arrived a
          join added n on n.workspace_id = a.workspace and n.id = a.message
         group by a.workspace, a.conversation
    ), touched as (
        update conversations v
           -- A reaction alone leaves the conversation as it is: done, snoozed, read.
           set unread_count = v.unread_count + l.news,
               status = case when l.news > 0 then 'open' else v.status end,
               snoozed_until = case when l.news > 0 then null else v.snoozed_until end,
               -- One that comes late is not the newest.
               last_message_at = case when l.told_at is null or v.last_message_id is null or l.at >= v.last_message_at
                                      then l.at else v.last_message_at end,
               last_message_preview = case when l.told_at is null or v.last_message_id is null or l.at >= v.last_message_at
                                           then l.preview else v.last_message_preview end,
               last_message_direction = case when l.told_at is null or v.last_message_id is null or l.at >= v.last_message_at
                                             then 'inbound' else v.last_message_direction end,
               last_message_status = case when l.told_at is null or v.last_message_id is null or l.at >= v.last_message_at
                                          then 'received' else v.last_message_status end,
               last_message_id = case when l.told_at is null or v.last_message_id is null or l.at >= v.last_message_at
                                      then l.message else v.last_message_id end,
               near_stop_id = coalesce(l.near_stop, v.near_stop_id),
               updated_at = now()
          -- In key order, row by row as the nested loop finds them: two batches wait for each other, never crosswise.
          from (select g.workspace, g.conversation, l.contact, l.number, g.news, g.near_stop, l.preview, l.message, l.told_at, l.at
                  from grown g
                  join arrived l on l.workspace = g.workspace and l.conversation = g.conversation and l.place = g.last
                 order by g.workspace, g.conversation) as l
         where v.workspace_id = l.workspace and v.id = l.conversation
           -- To the planner of an empty table each index costs the same. With the pair, also the one by number and contact finds one row.
           and v.contact_id = l.contact and v.number_id = l.number
    )
    select array_agg(n.id), array_agg(n.conversation_id) into stored, stored_in from added n;

    -- The newest text that the provider itself delivered, and the newest that only a comparison found: the second proves nothing
    -- about the webhook. To the minute is enough for people, and spares the row that every text of a number would wait for.
    with heard as (
        update numbers n
           set last_inbound_at = case when h.delivered_at > coalesce(n.last_inbound_at, '-infinity') + interval '1 minute'
                                      then h.delivered_at else n.last_inbound_at end,
               last_missed_at = case when h.missed_at > coalesce(n.last_missed_at, '-infinity') + interval '1 minute'
                                     then h.missed_at else n.last_missed_at end
          from (select t.workspace, t.number,
                       max(coalesce(t.told_at, now())) filter (where t.via is null or t.via = 'webhook') as delivered_at,
                       max(coalesce(t.told_at, now())) filter (where t.via = 'catch_up') as missed_at
                  from unnest(workspaces, numbers, message_ids, told_at, vias) as t (workspace, number, message, told_at, via)
                 where t.message = any (stored)
                 group by t.workspace, t.number
                 order by t.workspace, t.number) as h
         where n.workspace_id = h.workspace and n.id = h.number
           and (h.delivered_at > coalesce(n.last_inbound_at, '-infinity') + interval '1 minute'
                or h.missed_at > coalesce(n.last_missed_at, '-infinity') + interval '1 minute')
        returning n.id
    )
    select array_agg(id) into woken from heard;

    -- Hardly any text is a wish; those that were new are heard in their order, of two in one batch the later one.
    if exists (select from unnest(wishes) as t (wish) where wish is not null) then
        perform hear_wish(t.workspace, t.message, t.wish)
           from unnest(workspaces, message_ids, wishes, told_at) with ordinality as t (workspace, message, wish, told_at, place)
           join messages m on m.workspace_id = t.workspace and m.id = t.message
          where t.wish is not null and t.message = any (stored)
            -- What comes late does not undo what they wished since.
            and (t.told_at is null
                 or not exists (select from consents c
                                 where c.workspace_id = m.workspace_id and c.contact_id = m.contact_id
                                   and c.number_id = m.number_id and c.created_at > t.told_at))
          order by t.place;
    end if;

    return query
    with told as (
        select t.place, true as added, t.message, n.conversation, t.workspace, t.integration, t.number, t.provider,
               t.provider_sid, t.via
          from unnest(workspaces, integrations, numbers, providers, provider_sids, message_ids, vias)
               with ordinality as t (workspace, integration, number, provider, provider_sid, message, via, place)
          join unnest(stored, stored_in) as n (message, conversation) on n.message = t.message
        union all
        -- Repeats. This statement sees what those before it stored, and what others did meanwhile.
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
          from told t
         -- Whoever compares lists meets the same texts every time: only what was missing is news.
         where t.via in ('webhook', 'release') or (t.via = 'catch_up' and t.added)
    )
    select t.place, t.added, t.message, t.conversation, coalesce(t.number = any (woken), false) from told t;
end $$;
grant execute on function receive_texts(uuid[], uuid[], uuid[], text[], text[], text[], text[], text[], smallint[], jsonb[], uuid[],
                                        uuid[], uuid[], text[], boolean[], timestamptz[], text[], boolean[]) to messagehub_system;

-- What providers say of texts on their way, in the order in which it came: one call, one transaction. A status only moves
-- forward, the first error stays, and a repeat changes nothing.
create function take_reports(
    workspaces uuid[], integrations uuid[], providers text[], provider_sids text[], our_ids uuid[], statuses text[],
    raw_statuses text[], error_codes text[], error_messages text[], opt_outs boolean[], segments smallint[], prices numeric[],
    price_units text[], vias text[])
    returns table (place bigint, message_id uuid, number_id uuid, conversation_id uuid, changed boolean, canceled boolean,
                   opted_out boolean)
    language plpgsql
    -- For the reasons that `receive_texts` has.
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set jit = off
as $$
#variable_conflict use_column
declare
    known uuid[]; -- the message of each place, if there is one
    t record;
    m messages;
    became text;
begin
    select array_agg(f.id order by t.place) into known
      from unnest(workspaces, integrations, provider_sids, our_ids)
           with ordinality as t (workspace, integration, provider_sid, our_id, place)
      left join lateral (
           select m.id from messages m
            where m.workspace_id = t.workspace and m.integration_id = t.integration and m.provider_sid = t.provider_sid
              and m.direction = 'outbound'
           union all
           -- Before the answer to the send did: known by what we put into the address of the report.
           select m.id from messages m
            where m.workspace_id = t.workspace and m.id = t.our_id and m.integration_id = t.integration
              and m.provider_sid is null and m.direction = 'outbound'
           limit 1) f on true;

    -- In key order: two servers' batches wait for each other instead of locking crosswise.
    perform from messages m
       join (select distinct k.workspace, k.id from unnest(workspaces, known) as k (workspace, id) where k.id is not null) k
         on m.workspace_id = k.workspace and m.id = k.id
      order by m.workspace_id, m.id
        for update of m;

    for t in
        select * from unnest(workspaces, integrations, providers, provider_sids, known, statuses, raw_statuses, error_codes,
                             error_messages, opt_outs, segments, prices, price_units, vias)
             with ordinality as r (workspace, integration, provider, provider_sid, message, status, raw_status, error_code,
                                   error_message, opt_out, segments, price, price_unit, via, place)
         order by r.place
    loop
        place := t.place; message_id := null; number_id := null; conversation_id := null;
        changed := false; canceled := false; opted_out := false;
        -- Of two that name the same text of ours with different ids, the first is believed.
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
                opted_out := hear_wish(t.workspace, m.id, 'stop', 'provider', t.error_code);
            end if;
        end if;
        insert into webhooks (workspace_id, integration_id, number_id, provider, kind, via, provider_sid, outcome, detail, message_id)
        values (t.workspace, t.integration, number_id, t.provider, 'status', t.via, t.provider_sid,
                case when message_id is null then 'ignored' when changed then 'applied' else 'repeat' end,
                t.raw_status, message_id);
        return next;
    end loop;

    update conversations v
       set last_message_status = l.status
      from (select m.workspace_id, m.conversation_id, m.id, m.status
              from (select distinct k.workspace, k.id from unnest(workspaces, known) as k (workspace, id) where k.id is not null) k
              join messages m on m.workspace_id = k.workspace and m.id = k.id
             order by m.workspace_id, m.conversation_id) as l
     where v.workspace_id = l.workspace_id and v.id = l.conversation_id and v.last_message_id = l.id
       and v.last_message_status <> l.status;
end $$;
grant execute on function take_reports(uuid[], uuid[], text[], text[], uuid[], text[], text[], text[], text[], boolean[],
                                       smallint[], numeric[], text[], text[]) to messagehub_system;
