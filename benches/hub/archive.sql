-- Generates years of texts, for the benchmarks and for `tests/it/plans.rs`, in the workspaces of `archive.plan`: a JSON array of
-- objects with `workspace`, `texts`, `conversations`, `first` (the place of its first contact among `archive.area_codes`' phone
-- numbers) and perhaps `contacts` (otherwise as many as conversations).
--
-- Four fifths of as many contacts as there are conversations have texted, every fourth of them with two numbers; the last of
-- a workspace's numbers has hardly any conversations. Words and conversations follow Zipf's law: the nth is 1/n as frequent as
-- the first. So some words are in half of all texts and some in a few; every tenth text has a word of its own, and
-- twenty texts of the first workspace have `needle`.
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

-- The phone number of the nth contact, counted from 0 through all workspaces.
create function archive.phone(nth integer) returns text language sql stable
    return '+1' || (current_setting('archive.area_codes')::integer[])[1 + nth / 10000] || '555' || lpad((nth % 10000)::text, 4, '0');

-- The place of the number that the nth contact of a workspace with so many numbers writes to.
create function archive.number_of(nth integer, numbers integer) returns integer language sql immutable
    return case when nth % 100 = 99 then numbers else 1 + nth % (numbers - 1) end;

create table archive.plan as
    select (row_number() over ())::integer as place, p.*, p.conversations * 4 / 5 as texted,
           now() - interval '2 years' as since, interval '2 years' / (p.texts + 1) as pace,
           array(select n.id from numbers n where n.workspace_id = p.workspace order by n.phone_number) as numbers,
           array(select m.user_id from workspace_members m where m.workspace_id = p.workspace order by m.role, m.user_id) as members
      from json_to_recordset(current_setting('archive.plan')::json)
             as p (workspace uuid, texts integer, conversations integer, contacts integer, first integer);
analyze archive.plan;

insert into contacts (workspace_id, id, phone_number, name, texted, created_at)
select p.workspace, archive.id(at, 'person' || p.place || '-' || nth), archive.phone(p.first + nth),
       initcap(archive.word(100 + nth % 1777)) || ' ' || initcap(archive.word(2000 + nth % 7919)), nth < p.texted, at
  from archive.plan p, generate_series(0, coalesce(p.contacts, p.conversations) - 1) nth,
       lateral (select p.since + nth * interval '1 second' as at) t;

create table archive.talks as
    select p.workspace, k as place, archive.id(p.since, 'talk' || p.place || '-' || k) as id, c.id as contact_id,
           p.numbers[case when k < p.texted then n.number when n.number = n.last then 1 else n.number % (n.last - 1) + 1 end] as number_id
      from archive.plan p, generate_series(0, p.conversations - 1) k,
           lateral (select cardinality(p.numbers) as last, archive.number_of(k % p.texted, cardinality(p.numbers)) as number,
                           archive.phone(p.first + k % p.texted) as phone) n
      join contacts c on c.phone_number = n.phone
     where c.workspace_id = p.workspace;
create unique index on archive.talks (workspace, place);
analyze archive.talks;

insert into conversations (workspace_id, id, contact_id, number_id, status, snoozed_until, assignee_id, unread_count, created_at, last_message_at)
select p.workspace, t.id, t.contact_id, t.number_id, t.status, case when t.status = 'snoozed' then now() + interval '30 days' end,
       case when t.luck < 0.1 then p.members[1 + t.place % cardinality(p.members)] end,
       case when t.status = 'open' and t.luck > 0.98 then 2 else 0 end, p.since, p.since + t.place * interval '1 microsecond'
  from archive.plan p
  join (select *, random() as luck,
               (array['open', 'open', 'open', 'open', 'open', 'pending', 'snoozed', 'done', 'done', 'done'])[1 + place % 10] as status
          from archive.talks) t on t.workspace = p.workspace;

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
select m.workspace, archive.id(m.at, 'text' || m.name), t.id, t.contact_id, t.number_id, n.integration_id, m.direction,
       coalesce((select string_agg(archive.word(w.nth), ' ')
                   from (select archive.pick(50000) as nth from generate_series(1, 3 + m.nth % 1009 % 15) offset 0) w), '')
           || case when m.nth % 10 = 0 then ' q' || left(md5('code' || m.name), 9) else '' end
           || case when m.has_needle then ' needle' else '' end,
       case m.direction when 'outbound' then 'delivered' else 'received' end, i.provider,
       case when m.direction <> 'note' then 'SM' || md5('text' || m.name) end, 1, m.at
  from (select p.workspace, nth, p.place || '-' || nth as name, p.since + nth * p.pace as at, archive.pick(p.conversations) - 1 as talk,
               p.place = 1 and nth % (p.texts / 20) = 0 as has_needle,
               case when nth % 200 = 199 then 'note' when random() < 0.5 then 'inbound' else 'outbound' end as direction
          from archive.plan p, generate_series(1, p.texts) nth offset 0) m
  join archive.talks t on t.workspace = m.workspace and t.place = m.talk
  join numbers n on n.workspace_id = m.workspace and n.id = t.number_id
  join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id;

insert into message_tokens (workspace_id, id, number_id, nth, words)
select m.workspace_id, m.id, m.number_id, m.nth, scoped_tokens_of(search_part_scope(m.number_id, m.nth / 2048), m.content)
  from (select m.*, (row_number() over (partition by m.number_id order by m.id))::integer - 1 as nth from messages m) m
 where m.content <> '';

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
  from archive.talks t
 cross join lateral (select m.* from messages m
                      where m.workspace_id = t.workspace and m.conversation_id = t.id and m.direction <> 'note'
                      order by m.id desc limit 1) m
 where v.workspace_id = t.workspace and v.id = t.id;

-- Every fourth note mentions a member, and some conversations are closed.
insert into mentions (workspace_id, message_id, conversation_id, number_id, user_id, name, created_at)
select m.workspace_id, m.id, m.conversation_id, m.number_id, p.members[1 + (extract(epoch from m.created_at)::bigint % cardinality(p.members))],
       'Jo', m.created_at
  from archive.plan p join messages m on m.workspace_id = p.workspace and m.direction = 'note'
 where right(m.id::text, 1) < '4';
insert into conversation_events (workspace_id, id, conversation_id, number_id, kind, actor_name, created_at)
select m.workspace_id, archive.id(m.created_at, 'event' || m.id), m.conversation_id, m.number_id,
       case when right(m.id::text, 1) < '8' then 'done' else 'reopened' end, 'Jo', m.created_at
  from messages m
 where m.id::text like '%5_';

-- To be called by itself, after this file: it commits now and then. The search index of every database of the cluster waits for
-- transactions that are open.
create procedure archive.index_contacts() language plpgsql
as $$
declare
    c record;
    nth integer := 0;
begin
    for c in select workspace_id, id from contacts loop
        perform index_contact(c.workspace_id, c.id);
        nth := nth + 1;
        if nth % 1000 = 0 then
            commit;
        end if;
    end loop;
end $$;

set session_replication_role = origin;
