-- Generates years of texts in one workspace: `archive.texts` texts with `archive.people` contacts (two fifths of whom
-- have texted), over the numbers of `archive.workspace`, of which the last one has hardly any.
--
-- Words and conversations follow Zipf's law: the nth is 1/n as frequent as the first. So some words are in half of all
-- texts, some in hundreds, some in a few; and every tenth text has a word of its own.
--
-- Runs as a superuser without keys and triggers, which would take most of the time. Derived rows are written here,
-- search tokens by the functions that the triggers call.

set session_replication_role = replica;
set synchronous_commit = off;
set jit = off;
set work_mem = '128MB';
set maintenance_work_mem = '512MB';
select setseed(0.42);
-- Keeps the server's worker away: the messages are indexed below.
select from search_progress for update;

create schema archive;

-- A random number up to `most`; n has a probability of about 1/n.
create function archive.pick(most integer) returns integer language sql volatile
    return floor(exp(random() * ln(most + 1)))::integer;

-- The nth word: a hash of n in letters. Common words are short.
create function archive.word(nth integer) returns text language sql immutable
    return left(translate(lpad(to_hex(nth * 2654435761 % 4294967296), 8, '0'), '0123456789abcdef', 'aeioustrnlmdkpbg'),
                case when nth < 40 then 3 when nth < 1000 then 5 else 8 end);

-- Sorts by time, like a UUIDv7.
create function archive.id(at timestamptz, seed text) returns uuid language sql stable
    return ('0' || to_hex((extract(epoch from at) * 1000)::bigint) || '7' || right(md5(seed), 19))::uuid;

create table archive.plan as
    select current_setting('archive.workspace')::uuid as workspace, current_setting('archive.texts')::integer as texts,
           current_setting('archive.people')::integer as people, current_setting('archive.people')::integer * 2 / 5 as texted,
           now() - interval '2 years' as since, interval '2 years' / (current_setting('archive.texts')::integer + 1) as pace,
           array(select n.id from numbers n where n.workspace_id = current_setting('archive.workspace')::uuid order by n.phone_number) as numbers,
           array(select m.user_id from workspace_members m where m.workspace_id = current_setting('archive.workspace')::uuid
                  order by m.role, m.user_id) as members;

insert into contacts (workspace_id, id, phone_number, name, texted, created_at)
select p.workspace, archive.id(at, 'person' || nth), '+' || (15000000000 + nth),
       initcap(archive.word(100 + nth % 1777)) || ' ' || initcap(archive.word(2000 + nth % 7919)), nth <= p.texted, at
  from archive.plan p, generate_series(1, p.people) nth, lateral (select p.since + nth * interval '1 second' as at) t;

-- Contact and number of each conversation; every fourth contact has two.
create table archive.talks as
    select k as place, archive.id(p.since, 'talk' || k) as id, c.id as contact_id,
           case when k % 100 = 0 and k <= p.texted then p.numbers[cardinality(p.numbers)]
                else p.numbers[1 + ((k - 1) % p.texted + k / (p.texted + 1)) % (cardinality(p.numbers) - 1)] end as number_id
      from archive.plan p, generate_series(1, p.texted * 5 / 4) k
      join contacts c on c.workspace_id = current_setting('archive.workspace')::uuid
                     and c.phone_number = '+' || (15000000001 + (k - 1) % (current_setting('archive.people')::integer * 2 / 5));
create unique index on archive.talks (place);

insert into conversations (workspace_id, id, contact_id, number_id, status, snoozed_until, assignee_id, unread_count, created_at, last_message_at)
select p.workspace, t.id, t.contact_id, t.number_id, t.status, case when t.status = 'snoozed' then now() + interval '30 days' end,
       case when t.luck < 0.1 then p.members[1 + t.place % cardinality(p.members)] end,
       case when t.status = 'open' and t.luck > 0.98 then 2 else 0 end, p.since, p.since + t.place * interval '1 microsecond'
  from archive.plan p,
       (select *, random() as luck, (array['open', 'open', 'open', 'open', 'open', 'pending', 'snoozed', 'done', 'done', 'done'])[1 + place % 10] as status
          from archive.talks) t;

-- Dropped now, and rebuilt below.
create table archive.indexes as
    select indexname, indexdef from pg_indexes
     where schemaname = 'public' and tablename in ('messages', 'message_tokens')
       and not exists (select from pg_constraint c where c.conindid = quote_ident(indexname)::regclass);
do $$ declare name text; begin
    for name in select indexname from archive.indexes loop
        execute format('drop index %I', name);
    end loop;
end $$;

insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                      provider, provider_sid, segments, created_at)
select p.workspace, archive.id(m.at, 'text' || m.nth), t.id, t.contact_id, t.number_id, n.integration_id, m.direction,
       coalesce((select string_agg(archive.word(w.nth), ' ') from (select archive.pick(50000) as nth from generate_series(1, 3 + m.nth % 1009 % 15) offset 0) w), '')
           || case when m.nth % 10 = 0 then ' q' || left(md5('code' || m.nth), 9) else '' end,
       case m.direction when 'outbound' then 'delivered' else 'received' end, i.provider,
       case when m.direction <> 'note' then 'SM' || md5('text' || m.nth) end, 1, m.at
  from archive.plan p,
       (select nth, p.since + nth * p.pace as at, archive.pick(p.texted * 5 / 4) as talk,
               case when nth % 200 = 0 then 'note' when random() < 0.5 then 'inbound' else 'outbound' end as direction
          from archive.plan p, generate_series(1, p.texts) nth offset 0) m
  join archive.talks t on t.place = m.talk
  join numbers n on n.workspace_id = current_setting('archive.workspace')::uuid and n.id = t.number_id
  join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id;

insert into message_tokens (workspace_id, id, number_id, nth, words)
select m.workspace_id, m.id, m.number_id, m.nth, scoped_tokens_of(search_part_scope(m.number_id, m.nth / 2048), m.content)
  from (select m.*, (row_number() over (partition by m.number_id order by m.id))::integer - 1 as nth
          from archive.plan p join messages m on m.workspace_id = p.workspace) m
 where m.content <> '' and not exists (select from message_tokens w where w.workspace_id = m.workspace_id and w.id = m.id);

update search_progress set (indexed_by, workspace, id)
     = (select inserted_by, workspace_id, id from messages order by inserted_by desc, workspace_id desc, id desc limit 1);

do $$ declare definition text; begin
    for definition in select indexdef from archive.indexes loop
        execute definition;
    end loop;
end $$;

update conversations v
   set last_message_at = m.created_at, last_message_preview = left(m.content, 160), last_message_direction = m.direction,
       last_message_status = m.status, last_message_id = m.id
  from archive.plan p, archive.talks t
 cross join lateral (select m.* from messages m
                      where m.workspace_id = current_setting('archive.workspace')::uuid and m.conversation_id = t.id and m.direction <> 'note'
                      order by m.id desc limit 1) m
 where v.workspace_id = p.workspace and v.id = t.id;

-- Every fourth note mentions a member, and some conversations are closed.
insert into mentions (workspace_id, message_id, conversation_id, number_id, user_id, name, created_at)
select m.workspace_id, m.id, m.conversation_id, m.number_id, p.members[1 + (extract(epoch from m.created_at)::bigint % cardinality(p.members))], 'Jo', m.created_at
  from archive.plan p join messages m on m.workspace_id = p.workspace and m.direction = 'note'
 where right(m.id::text, 1) < '4';
insert into conversation_events (workspace_id, id, conversation_id, number_id, kind, actor_name, created_at)
select m.workspace_id, archive.id(m.created_at, 'event' || m.id), m.conversation_id, m.number_id,
       case when right(m.id::text, 1) < '8' then 'done' else 'reopened' end, 'Jo', m.created_at
  from archive.plan p join messages m on m.workspace_id = p.workspace
 where m.id::text like '%5_';

do $$ begin
    perform index_contact(c.workspace_id, c.id) from archive.plan p join contacts c on c.workspace_id = p.workspace;
end $$;

set session_replication_role = origin;
