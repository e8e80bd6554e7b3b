-- Finding things: every word of every text ever, and people by any part of their name or number, by rights.
--
-- What is found stands in tables of its own. The rows of `messages` are written several times while a text is on its way, and
-- each time all their indexes again; here a text is written once. The words are ours, not a parser's: they are the same in
-- every database, and languages that write no spaces are found by their pairs of characters.
--
-- Each word stands in the index under whom it belongs to (the last digits of a number's id, before the word itself). So a
-- search walks through nothing but what its person may see: neither what it finds nor how long it takes tells of the rest.

-- A text as its words with spaces in between: without case, accents and punctuation. Most texts are plain, and go through in
-- single expressions, which cost a text's way in the least.
create function spaced(content text) returns text
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text;
    pairs text := '';
    -- Thai, Lao, Burmese, Khmer, Japanese, Chinese; and signs and emoji, which stick to words.
    unspaced constant text := '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\u2600-\u27bf\U0001f000-\U0001faff\U00020000-\U000323af]';
begin
    if octet_length(content) = length(content) then
        return translate(lower(content), E' \n\t\r.,!?\'-":;/()&@#*_+=%$<>[]{}|~`^\\', '                                   ');
    end if;
    folded := normalize(regexp_replace(normalize(content, nfkd), '[\u0300-\u036f\u200d\ufe00-\ufe0f]', '', 'g'), nfkc);
    if folded ~ unspaced then
        pairs := (select coalesce(string_agg(' ' || substr(run[1], at, 2), ''), '')
                    from regexp_matches(folded, '(' || unspaced || '+)', 'g') as run, generate_series(1, length(run[1])) as at);
        folded := regexp_replace(folded, unspaced, ' ', 'g');
    end if;
    folded := regexp_replace(lower(folded), '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u2000-\u2bff\u3000-\u303f\ufe30-\ufe4f\uff00-\uff0f\uff1a-\uff20\uffe0-\uffff]', ' ', 'g');
    return replace(translate(folded, 'øłđı', 'oldi'), 'ß', 'ss') || pairs;
end $$;

create function words_of(content text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array_remove(string_to_array(spaced(content), ' '), '');
end $$;

-- They stand in the index with whom they belong to in front. A word longer than anybody looks for is cut.
create function scoped_words_of(scope text, content text) returns tsvector
    language plpgsql immutable strict parallel safe
as $$
declare
    spaced constant text := spaced(content);
begin
    if octet_length(spaced) > 1500 then
        return array_to_tsvector(array(select scope || left(word, 200) from string_to_table(spaced, ' ') as word where word <> ''));
    end if;
    return array_to_tsvector(array_remove(string_to_array(scope || replace(spaced, ' ', ' ' || scope), ' '), scope));
end $$;

-- In PL/pgSQL, which plans once per connection what SQL would plan in every statement.

-- Whom a word belongs to, in front of it.
create function scope_of(id uuid) returns text
    language sql immutable strict parallel safe
    return right(id::text, 8);

-- `words` of each of `scopes`, as they stand in the index.
create function scoped(scopes text[], words text[]) returns tsvector
    language plpgsql immutable strict parallel safe
as $$ begin
    return array_to_tsvector(array(select scope || word from unnest(scopes) as scope, unnest(words) as word));
end $$;

-- Every word of `words` at the beginning of one that belongs to one of `scopes`. Words of ours have no quotes in them.
create function asks_for(scopes text[], words text[]) returns tsquery
    language plpgsql immutable strict parallel safe
as $$ begin
    return (select string_agg('(' || (select string_agg('''' || scope || word || ''':*', ' & ') from unnest(words) as word) || ')', ' | ')
              from unnest(scopes) as scope)::tsquery;
end $$;

-- Those that narrow most: short beginnings are in half of all texts, and are looked at in what the others find.
create function narrowest(words text[]) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return coalesce(nullif(array(select word from unnest(words) as word where length(word) > 2 or word > '~'), '{}'), words);
end $$;

-- Any part of a name or number is the beginning of one of its ends: okafor, kafor, afor, for, or.
create function ends_of(words text[]) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array(select distinct substr(word, at) from unnest(words) as word, generate_series(1, greatest(length(word) - 1, 1)) as at);
end $$;

grant execute on function spaced(text), words_of(text), scoped_words_of(text, text), scope_of(uuid), scoped(text[], text[]), asks_for(text[], text[]), narrowest(text[]),
    ends_of(text[]) to messagehub_people, messagehub_system;

create table message_words (
    workspace_id uuid not null default current_workspace(),
    id           uuid not null,                      -- the message's
    number_id    uuid not null,
    words        tsvector not null,
    primary key (workspace_id, id),                  -- the newest first, and below a cursor
    foreign key (workspace_id, id) references messages on update cascade on delete cascade
);
create table contact_words (
    workspace_id uuid not null default current_workspace(),
    id           uuid not null,                      -- the contact's
    words        tsvector not null,                  -- of the workspace, and of each number that they have texted with
    primary key (workspace_id, id),
    foreign key (workspace_id, id) references contacts on delete cascade
);
-- A short list of what is new keeps a text's way in cheap (it is merged by the hundred), and is read by every search.
create index message_words_found on message_words using gin (words) with (gin_pending_list_limit = 1024);
create index contact_words_found on contact_words using gin (words) with (gin_pending_list_limit = 256);
-- What is written once is read for ever: without this the lists would wait long for their first vacuum.
alter table message_words set (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 5000);

select confine_to_workspace('message_words', readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'false');
select confine_to_workspace('contact_words', readers => '(select i_am_admin())', writers => 'false');
grant select, insert, update, delete on message_words, contact_words to messagehub_system;

-- Texts as they are written. For a batch one statement.
create function learn_messages() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into message_words (workspace_id, id, number_id, words)
    select t.workspace_id, t.id, t.number_id, t.words
      from (select a.workspace_id, a.id, a.number_id, scoped_words_of(right(a.number_id::text, 8), a.content) as words
              from added a where a.content <> '') t
     where t.words <> ''
        on conflict do nothing;
    return null;
end $$;
create trigger learn_messages after insert on messages
    referencing new table as added for each statement execute function learn_messages();

-- One that waits for its hour may still be changed, and a conversation may go to another contact.
create function relearn_message() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    delete from message_words w where w.workspace_id = new.workspace_id and w.id = new.id;
    insert into message_words (workspace_id, id, number_id, words)
    select new.workspace_id, new.id, new.number_id, scoped_words_of(scope_of(new.number_id), new.content)
     where scoped_words_of(scope_of(new.number_id), new.content) <> '';
    return null;
end $$;
create trigger relearn_message after update of content, number_id on messages
    for each row when (old.content is distinct from new.content or old.number_id is distinct from new.number_id)
    execute function relearn_message();

-- A contact belongs to the workspace's admins, to whoever may see a number that they have texted with, and before that to
-- whoever made it.
create function learn_contact(workspace uuid, contact uuid) returns void
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$ begin
    insert into contact_words as w (workspace_id, id, words)
    select c.workspace_id, c.id,
           scoped(array(select scope_of(c.workspace_id)
                        union select scope_of(v.number_id) from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id
                        union select scope_of(c.created_by)
                               where c.created_by is not null
                                 and not exists (select from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id)),
                  ends_of(words_of(coalesce(c.name, ''))) || ends_of(array[translate(c.phone_number, '+', '')])
                  || words_of(c.phone_number) || words_of(coalesce(c.email, '')))
      from contacts c
     where c.workspace_id = workspace and c.id = contact
        on conflict (workspace_id, id) do update set words = excluded.words;
end $$;
create function learn_contacts() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform learn_contact(new.workspace_id, new.id);
    return null;
end $$;
create trigger learn_contacts after insert on contacts
    for each row execute function learn_contacts();
create trigger relearn_contacts after update of name, phone_number, email on contacts
    for each row when ((old.name, old.phone_number, old.email) is distinct from (new.name, new.phone_number, new.email))
    execute function learn_contacts();
create function learn_conversations() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if tg_op <> 'INSERT' then
        perform learn_contact(old.workspace_id, old.contact_id);
    end if;
    if tg_op <> 'DELETE' then
        perform learn_contact(new.workspace_id, new.contact_id);
    end if;
    return null;
end $$;
create trigger learn_conversations after insert or delete or update of contact_id, number_id on conversations
    for each row execute function learn_conversations();

-- The scopes of whoever asks: an admin's contacts are the workspace's.
create function my_scopes() returns text[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    if i_am_admin() then
        return array[scope_of(my_workspace())];
    end if;
    return array(select scope_of(number) from unnest(my_numbers()) as number) || scope_of(current_user_id());
end $$;

-- The searches. They run as the system role, for under row-level security no index of words is used; they ask themselves who
-- asks, and answer with ids, which are then looked up with that person's own rights.
--
-- Two steps: first down from the newest, for what is in many texts is soon found there; then by the index, for what is not
-- is in few. Either is bounded: 10,000 rows down, and by the index at most about as many as would not have filled the page.
-- The number is asked before the words, so that what is in others' texts costs the same whatever it says.

create function find_messages(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    scopes constant text[] := array(select scope_of(number) from unnest(numbers) as number);
    terms constant text[] := array(select distinct word from unnest((words_of(q))[:12]) as word);
    asked tsquery;
    narrow constant text[] := narrowest(terms);
    top constant uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    edge uuid;
    found integer;
begin
    if workspace is null or terms = '{}' or numbers = '{}' then
        return;
    end if;
    asked := asks_for(scopes, terms);
    return query
        select w.id from (select n.id, n.number_id, n.words from message_words n
                           where n.workspace_id = workspace and n.id < top
                           order by n.id desc limit 10000) w
         where case when w.number_id = any (numbers) then w.words @@ asked end
         limit many;
    get diagnostics found = row_count;
    if found >= many then
        return;
    end if;
    select n.id into edge from message_words n
     where n.workspace_id = workspace and n.id < top
     order by n.id desc offset 9999 limit 1;
    if edge is null then
        return;
    end if;
    return query
        -- By itself, so that no other index seems good enough; and number by number, for the index is slow where much is
        -- joined by "or".
        with held as materialized (select n.workspace_id, n.id, n.number_id, n.words
                                     from unnest(scopes) as s (scope)
                                    cross join lateral (select * from message_words n
                                                         where n.words @@ asks_for(array[s.scope], narrow)) n)
        select h.id from held h
         where h.workspace_id = workspace and h.number_id = any (numbers) and h.id < edge and (narrow = terms or h.words @@ asked)
         order by h.id desc limit many - found;
end $$;

create function find_contacts(q text, before uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    scopes constant text[] := my_scopes();
    terms constant text[] := array(select distinct word from unnest((words_of(q))[:12]) as word);
    asked tsquery;
    narrow tsquery;
    top constant uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    edge uuid;
    found integer;
begin
    if workspace is null or terms = '{}' then
        return;
    end if;
    asked := asks_for(scopes, terms);
    narrow := asks_for(scopes, narrowest(terms));
    return query
        select w.id from (select n.id, n.words from contact_words n
                           where n.workspace_id = workspace and n.id < top
                           order by n.id desc limit 3000) w
         where w.words @@ asked
         limit many;
    get diagnostics found = row_count;
    if found >= many then
        return;
    end if;
    select n.id into edge from contact_words n
     where n.workspace_id = workspace and n.id < top
     order by n.id desc offset 2999 limit 1;
    if edge is null then
        return;
    end if;
    return query
        with held as materialized (select n.workspace_id, n.id, n.words from contact_words n where n.words @@ narrow)
        select h.id from held h
         where h.workspace_id = workspace and h.id < edge and (narrow = asked or h.words @@ asked)
         order by h.id desc limit many - found;
end $$;

-- By whom they are with, the one that moved last first.
create function find_conversations(q text, before_at timestamptz, before_id uuid, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    numbers constant uuid[] := my_numbers();
    scopes constant text[] := my_scopes();
    terms constant text[] := array(select distinct word from unnest((words_of(q))[:12]) as word);
    asked tsquery;
    narrow tsquery;
    top_at constant timestamptz := coalesce(before_at, 'infinity');
    top_id constant uuid := coalesce(before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    newest uuid[];
    edge conversations;
    found integer;
begin
    if workspace is null or terms = '{}' or numbers = '{}' then
        return;
    end if;
    asked := asks_for(scopes, terms);
    narrow := asks_for(scopes, narrowest(terms));
    -- One short scan of `conversations_newest` for each status.
    newest := array(
        select v.id
          from unnest(array['open', 'pending', 'snoozed', 'done']) as s (status)
         cross join lateral (select v.id, v.last_message_at from conversations v
                              where v.workspace_id = workspace and v.status = s.status and v.number_id = any (numbers)
                                and (v.last_message_at, v.id) < (top_at, top_id)
                              order by v.last_message_at desc, v.id desc limit 1000) v
         order by v.last_message_at desc, v.id desc limit 1000);
    return query
        select v.id
          from unnest(newest) with ordinality as n (id, place)
          join conversations v on v.workspace_id = workspace and v.id = n.id
          join contact_words w on w.workspace_id = workspace and w.id = v.contact_id
         where w.words @@ asked
         order by n.place
         limit many;
    get diagnostics found = row_count;
    if found >= many or cardinality(newest) < 1000 then
        return;
    end if;
    select * into edge from conversations v where v.workspace_id = workspace and v.id = newest[1000];
    return query
        with held as materialized (select n.workspace_id, n.id, n.words from contact_words n where n.words @@ narrow)
        select v.id
          from held h
          join conversations v on v.workspace_id = workspace and v.contact_id = h.id and v.number_id = any (numbers)
         where h.workspace_id = workspace and (narrow = asked or h.words @@ asked)
           and (v.last_message_at, v.id) < (edge.last_message_at, edge.id)
         order by v.last_message_at desc, v.id desc limit many - found;
end $$;

grant execute on function find_messages(text, uuid, integer), find_contacts(text, uuid, integer),
    find_conversations(text, timestamptz, uuid, integer) to messagehub_people;
grant execute on function my_scopes() to messagehub_system;
grant create on schema public to messagehub_system;
alter function learn_messages() owner to messagehub_system;
alter function relearn_message() owner to messagehub_system;
alter function learn_contact(uuid, uuid) owner to messagehub_system;
alter function learn_contacts() owner to messagehub_system;
alter function learn_conversations() owner to messagehub_system;
alter function my_scopes() owner to messagehub_system;
alter function find_messages(text, uuid, integer) owner to messagehub_system;
alter function find_contacts(text, uuid, integer) owner to messagehub_system;
alter function find_conversations(text, timestamptz, uuid, integer) owner to messagehub_system;
revoke create on schema public from messagehub_system;

-- Where a member's browsers hear of texts while no page is open: see `src/push.rs`. A subscription ends with the sign-in that
-- made it, and with the membership.
create table push_subscriptions (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    user_id      uuid not null,
    session_id   uuid not null references sessions on delete cascade,
    endpoint     text not null check (length(endpoint) between 8 and 1000),
    p256dh       bytea not null check (length(p256dh) = 65),
    auth         bytea not null check (length(auth) = 16),
    name         text not null default '' check (length(name) <= 80),  -- of the browser, as its owner knows it
    last_used_at timestamptz,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    foreign key (workspace_id, user_id) references workspace_members on delete cascade,
    constraint push_subscriptions_once unique (workspace_id, user_id, endpoint)
);
create index push_subscriptions_of_session on push_subscriptions (session_id);
select confine_to_workspace('push_subscriptions', readers => 'user_id = (select current_user_id())', writers => 'user_id = (select current_user_id())');
grant select, insert, update, delete on push_subscriptions to messagehub_people;
grant select, update, delete on push_subscriptions to messagehub_system;
alter table member_settings add column push_preview boolean not null default false; -- who wrote and what, on a screen that others may see

-- What is there already.
insert into message_words (workspace_id, id, number_id, words)
select t.workspace_id, t.id, t.number_id, t.words
  from (select m.workspace_id, m.id, m.number_id, scoped_words_of(scope_of(m.number_id), m.content) as words
          from messages m where m.content <> '') t
 where t.words <> '';
select learn_contact(c.workspace_id, c.id) from contacts c;
