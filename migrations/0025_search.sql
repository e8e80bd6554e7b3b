-- Finding things: every word of every text ever, and people by any part of their name or number, by rights.
--
-- What is found stands in tables of its own. The rows of `messages` are written several times while a text is on its way, and
-- each time all their indexes again; here a text is written once. The words are ours, not a parser's: they are the same in
-- every database, and languages that write no spaces are found by their pairs of characters.
--
-- Each word stands in the index under whom it belongs to (the last digits of a number's id, before the word itself). So a
-- search walks through nothing but what its person may see: neither what it finds nor how long it takes tells of the rest.

-- Small letters of every script, whatever locale the database was made with: the default collation of a database with the
-- locale C knows ASCII only.
do $$ begin
    execute format('create function lower_case(content text) returns text language sql immutable strict parallel safe
                        return lower(content collate %I)',
                   coalesce((select c.collname from pg_collation c
                              where c.collname in ('und-x-icu', 'C.utf8', 'C.UTF-8') and c.collencoding in (-1, pg_char_to_encoding('UTF8'))
                              order by c.collname = 'und-x-icu' desc limit 1), 'default'));
end $$;

-- A text as it is compared: without case, accents, vowel points and marks that nobody types; every digit an ASCII digit. Between
-- words stands a space. What stands inside of words, an apostrophe or a hyphen, is a hyphen. `src/fold.rs` does the same for what
-- is highlighted, and a test compares the two. Most texts are ASCII, and go through in a single expression.
create function fold_ascii(content text) returns text
    language sql immutable strict parallel safe
    return translate(lower(case when content ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]' -- in hardly any, and each sign here costs every letter a look
                                then regexp_replace(content, '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]', ' ', 'g') else content end collate "C"),
                     E'\'`.,!?\n\t\r":;/()&@#*_+=%$<>[]{}|~^\\', '--                                ');
create function fold_text(content text) returns text
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text;
begin
    if octet_length(content) = length(content) then
        return fold_ascii(content);
    end if;
    -- Accents and vowel points: Latin, Cyrillic, Hebrew, Arabic; the Arabic tatweel; soft hyphens, marks of writing direction,
    -- variants of emoji.
    folded := normalize(regexp_replace(normalize(replace(content, '´', ''''), nfkd),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u00ad\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0020-\U000e007f]',
        '', 'g'), nfkc);
    folded := translate(lower_case(folded),
                        'øłđðıħŧŋςґکیىةٱہھە٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯๐๑๒๓๔๕๖๗๘๙'
                        || E'\'`\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02be\u02bf\u2032\u05f3\u05f4\u05be\u2010\u2012\u2013\u2212\u2027\u00b7\u30fb\u058a',
                        'olddihtnσгكييهاههه' || repeat('0123456789', 5) || repeat('-', 22));
    folded := replace(replace(replace(replace(folded, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
    return regexp_replace(folded,
        '[\u0001-\u002c\u002e\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u055a-\u055f\u0589\u05c0\u05c3\u05c6\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u2000-\u25ff\u27c0-\u2bff\u3000-\u3004\u3008-\u303f\ufe30-\ufe4f\uff00-\uffef]',
        ' ', 'g');
end $$;

-- Thai, Lao, Burmese, Khmer, Japanese, Chinese; and signs and emoji, which stick to words.
create function unspaced() returns text
    language sql immutable parallel safe
    return '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\u2600-\u27bf\U0001f000-\U0001faff\U00020000-\U000323af]';

-- What is written without spaces is found by its pairs of characters, each with a space in front. Where it is looked for, the last
-- character by itself says no more than the pair before it.
create function pairs_of(folded text, is_sought boolean) returns text
    language plpgsql immutable strict parallel safe
as $$ begin
    return (select coalesce(string_agg(' ' || substr(run[1], at, 2), ''), '')
              from regexp_matches(folded, '(' || unspaced() || '+)', 'g') as run,
                   generate_series(1, greatest(length(run[1]) - case when is_sought then 1 else 0 end, 1)) as at);
end $$;

-- A text as its words with spaces in between. What an apostrophe or a hyphen joins is several words, and one: don't, don, t, dont.
create function spaced(content text) returns text
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text;
    more text := '';
begin
    if octet_length(content) = length(content) then
        folded := fold_ascii(content);
    else
        folded := fold_text(content);
        if folded ~ unspaced() then
            more := pairs_of(folded, false);
            folded := regexp_replace(folded, unspaced(), ' ', 'g');
        end if;
    end if;
    if strpos(folded, '-') > 0 then
        more := more || (select coalesce(string_agg(' ' || replace(joined[1], '-', ''), ''), '')
                           from regexp_matches(folded, '[^ -]+(?:-[^ -]+)+', 'g') as joined);
        folded := replace(folded, '-', ' ');
    end if;
    return folded || more;
end $$;

create function words_of(content text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array_remove(string_to_array(spaced(content), ' '), '');
end $$;

-- What is looked for, as `asks_for` reads it: what a hyphen joins stays joined, and means both.
create function sought_words(q text) returns text[]
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text := fold_text(q);
    pairs text := '';
begin
    if octet_length(folded) <> length(folded) and folded ~ unspaced() then
        pairs := pairs_of(folded, true);
        folded := regexp_replace(folded, unspaced(), ' ', 'g');
    end if;
    return array(select distinct left(word, 200)
                   from string_to_table(folded || pairs, ' ') as chunk, btrim(regexp_replace(chunk, '-+', '-', 'g'), '-') as word
                  where word <> '');
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

-- Every term at the beginning of a word that belongs to one of `scopes`. `a|b` is either; `a-b` is both, or the two as one word.
-- Words of ours have neither quotes nor backslashes in them. Null where nothing is asked for.
create function asks_for(scopes text[], terms text[]) returns tsquery
    language plpgsql immutable strict parallel safe
as $$ begin
    return (select string_agg('(' || (select string_agg(
                       case when strpos(term, '|') > 0 then '(''' || scope || replace(term, '|', ''':* | ''' || scope) || ''':*)'
                            when strpos(term, '-') > 0
                            then '((''' || scope || replace(term, '-', ''':* & ''' || scope) || ''':*) | ''' || scope || replace(term, '-', '') || ''':*)'
                            else '''' || scope || term || ''':*' end, ' & ') from unnest(terms) as term) || ')', ' | ')
              from unnest(scopes) as scope)::tsquery;
end $$;

-- Those that narrow most: short beginnings are in half of all texts, and are looked at in what the others find.
create function is_narrow(term text) returns boolean
    language plpgsql immutable strict parallel safe
as $$ begin
    return not exists (select from string_to_table(term, '|') as word where length(word) <= 2 and word <= '~');
end $$;
create function narrowest(words text[]) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return coalesce(nullif(array(select word from unnest(words) as word where is_narrow(word)), '{}'), words);
end $$;

-- Any part of a name or number is the beginning of one of its ends: okafor, kafor, afor, for, or.
create function ends_of(words text[]) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return array(select distinct substr(word, at) from unnest(words) as word, generate_series(1, greatest(length(word) - 1, 1)) as at);
end $$;

-- By what a name is found: any part of a word; and from the beginning of any word on, as if there were
-- nothing between the words: O'Neill by oneill, Anne-Marie by annemarie, 山田 花子 by 山田花子. Cut like what is looked for.
create function person_words(content text) returns text[]
    language plpgsql immutable strict parallel safe
as $$
declare
    folded text := fold_text(content);
    pairs text := '';
    words text[];
begin
    if octet_length(folded) <> length(folded) and folded ~ unspaced() then
        pairs := pairs_of(regexp_replace(folded, '(?<=' || unspaced() || ')[ -]+(?=' || unspaced() || ')', '', 'g'), false);
        folded := regexp_replace(folded, unspaced(), ' ', 'g');
    end if;
    words := array(select left(word, 200) from regexp_split_to_table(folded, '[ -]+') with ordinality as t (word, nth) where word <> '' order by nth);
    words := ends_of(words)
        || array(select left(array_to_string(words[nth:], ''), 200) from generate_series(1, cardinality(words) - 1) as nth)
        || array_remove(string_to_array(pairs, ' '), '');
    -- Müller by mueller, too.
    if octet_length(content) <> length(content) and normalize(content, nfc) ~ '[äöüåøÄÖÜÅØ]' then
        words := words || person_words(replace(replace(replace(replace(replace(lower_case(normalize(content, nfc)),
                                                                               'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'å', 'aa'), 'ø', 'oe'));
    end if;
    return words;
end $$;

-- By what an e-mail address is found: the beginnings of its words; in lists of contacts any part of them, which stand behind an @.
create function email_words(email text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    return words_of(email) || array(select '@' || word from unnest(ends_of(words_of(email))) as word);
end $$;

-- By what a number or sender is found: any part of its digits; with a plus, from its beginning.
create function address_words(address text) returns text[]
    language plpgsql immutable strict parallel safe
as $$ begin
    if address ~ '^\+?[0-9]+$' then
        return ends_of(array[translate(address, '+', '')]) || array[address];
    end if;
    return person_words(address);
end $$;

-- What is looked for among people: words, and numbers, each as its readings with `|` in between (`src/phone/search.rs`).
create function people_terms(q text, numbers text[]) returns text[]
    language sql immutable strict parallel safe
    return (sought_words(q))[:12] || numbers[:6];

grant execute on function lower_case(text), fold_ascii(text), fold_text(text), unspaced(), pairs_of(text, boolean), spaced(text), words_of(text), sought_words(text),
    scoped_words_of(text, text), scope_of(uuid), scoped(text[], text[]), asks_for(text[], text[]), is_narrow(text), narrowest(text[]), ends_of(text[]),
    person_words(text), email_words(text), address_words(text), people_terms(text, text[]) to messagehub_people, messagehub_system;

-- Names are stored composed (NFC), by every writer: é is one character, and as long as it looks.
create function compose_name() returns trigger
    language plpgsql
as $$ begin
    new.name := normalize(new.name, nfc);
    return new;
end $$;
create trigger composes_name before insert or update of name on contacts
    for each row when (new.name is not null) execute function compose_name();
update contacts set name = normalize(name, nfc) where name is not nfc normalized;

create table message_words (
    workspace_id uuid not null default current_workspace(),
    id           uuid not null,                      -- the message's
    number_id    uuid not null,
    nth          integer not null default 0,         -- of the number's, about: two at once may get the same
    part         integer not null generated always as (nth / 2048) stored,
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
create index message_words_parts on message_words (workspace_id, number_id, part, id);  -- how far each part of a number reaches
-- What is written once is read for ever: without this the lists would wait long for their first vacuum.
alter table message_words set (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 5000);

select confine_to_workspace('message_words', readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'false');
select confine_to_workspace('contact_words', readers => '(select i_am_admin())', writers => 'false');
grant select, insert, update, delete on message_words, contact_words to messagehub_system;

-- The index of words knows no time: a word that is in a million old texts would be collected in all of them for the newest fifty.
-- So each word stands there under a part of its number's texts, some 2,000 that came one after the other, and a search asks part
-- after part. (Capital letters: no word of ours begins with one.) Which text is in which part decides nothing but what a search costs: how far a part reaches is asked of the table.
create function part_scope(number uuid, part integer) returns text
    language plpgsql immutable strict parallel safe
as $$ begin
    return right(number::text, 8) || case when part > 0 then translate(to_hex(part), '0123456789abcdef', 'ABCDEFGHIJKLMNOP') else '' end;
end $$;
create function last_nth(workspace uuid, number uuid) returns integer
    language plpgsql stable
    set enable_seqscan = off
    set enable_bitmapscan = off
as $$ begin
    return coalesce((select w.nth from message_words w
                      where w.workspace_id = workspace and w.number_id = number
                      order by w.part desc, w.id desc limit 1), -1);
end $$;
grant execute on function part_scope(uuid, integer), last_nth(uuid, uuid) to messagehub_people, messagehub_system;

-- Texts as they are written. For a batch one statement.
create function learn_messages() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into message_words (workspace_id, id, number_id, nth, words)
    select t.workspace_id, t.id, t.number_id, t.nth, t.words
      from (select a.workspace_id, a.id, a.number_id, a.nth, scoped_words_of(part_scope(a.number_id, a.nth / 2048), a.content) as words
              from (select m.workspace_id, m.id, m.number_id, m.content,
                           n.last + (row_number() over (partition by m.workspace_id, m.number_id order by m.id))::integer as nth
                      from added m
                      join (select d.workspace_id, d.number_id, last_nth(d.workspace_id, d.number_id) as last
                              from (select distinct workspace_id, number_id from added where content <> '') d) n
                        on n.workspace_id = m.workspace_id and n.number_id = m.number_id
                     where m.content <> '') a) t
     where t.words <> ''
        on conflict do nothing;
    return null;
end $$;
create trigger learn_messages after insert on messages
    referencing new table as added for each statement execute function learn_messages();

-- One that waits for its hour may still be changed, and a conversation may go to another contact.
create function relearn_message() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    nth constant integer := last_nth(new.workspace_id, new.number_id) + 1;
    words constant tsvector := scoped_words_of(part_scope(new.number_id, nth / 2048), new.content);
begin
    delete from message_words w where w.workspace_id = new.workspace_id and w.id = new.id;
    insert into message_words (workspace_id, id, number_id, nth, words)
    select new.workspace_id, new.id, new.number_id, nth, words where words <> '';
    return null;
end $$;
create trigger relearn_message after update of content, number_id on messages
    for each row when (old.content is distinct from new.content or old.number_id is distinct from new.number_id)
    execute function relearn_message();

-- A contact belongs to the workspace's admins, to whoever may see a number that they have texted with, and before that to
-- whoever made it. A merged contact is found as its survivor, by both numbers.
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
                  person_words(coalesce(c.name, '')) || email_words(coalesce(c.email, '')) || address_words(c.phone_number)
                  || array(select word from contacts o, unnest(address_words(o.phone_number)) as word
                            where o.workspace_id = c.workspace_id and o.merged_into = c.id))
      from contacts c
     where c.workspace_id = workspace and c.id = contact and c.merged_into is null
        on conflict (workspace_id, id) do update set words = excluded.words;
    if not found then
        delete from contact_words w where w.workspace_id = workspace and w.id = contact;
    end if;
end $$;
create function learn_contacts() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    perform learn_contact(new.workspace_id, new.id);
    if new.merged_into is not null then
        perform learn_contact(new.workspace_id, new.merged_into);
    end if;
    return null;
end $$;
create trigger learn_contacts after insert on contacts
    for each row execute function learn_contacts();
create trigger relearn_contacts after update of name, phone_number, email, merged_into on contacts
    for each row when ((old.name, old.phone_number, old.email, old.merged_into)
                       is distinct from (new.name, new.phone_number, new.email, new.merged_into))
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

grant execute on function my_scopes() to messagehub_system;
grant create on schema public to messagehub_system;
alter function learn_messages() owner to messagehub_system;
alter function relearn_message() owner to messagehub_system;
alter function learn_contact(uuid, uuid) owner to messagehub_system;
alter function learn_contacts() owner to messagehub_system;
alter function learn_conversations() owner to messagehub_system;
alter function my_scopes() owner to messagehub_system;
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
insert into message_words (workspace_id, id, number_id, nth, words)
select t.workspace_id, t.id, t.number_id, t.nth, t.words
  from (select m.workspace_id, m.id, m.number_id, m.nth, scoped_words_of(part_scope(m.number_id, m.nth / 2048), m.content) as words
          from (select n.*, (row_number() over (partition by n.workspace_id, n.number_id order by n.id) - 1)::integer as nth
                  from messages n where n.content <> '') m) t
 where t.words <> '';
select learn_contact(c.workspace_id, c.id) from contacts c;
