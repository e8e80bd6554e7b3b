-- Contacts as people keep them: found and sorted among a million, tagged, with fields of the workspace's own, two made one,
-- brought in and taken away.

alter table contacts
    add column texted        boolean not null default false,       -- somebody has texted with them, from any number
    add column merged_into   uuid,                                 -- it is no more than an address of that contact now
    add column custom_fields jsonb not null default '{}' check (jsonb_typeof(custom_fields) = 'object'), -- by the field's key
    add column updated_by    uuid references users on delete set null,
    add foreign key (workspace_id, merged_into) references contacts on delete cascade;
update contacts c set texted = true
 where exists (select from conversations v where v.workspace_id = c.workspace_id and v.contact_id = c.id);

-- As people look them up: whatever the case and the accents, those without a name last. A column of its own, for row-level
-- security lets an index be entered by a value, but not by what a function makes of it.
create function name_key(name text, phone_number text) returns text
    language sql immutable parallel safe
    return case when name is null then U&'\FFFF' else '' end
        || translate(lower(coalesce(name, phone_number)), 'áàâäãåāăąéèêëēėęíìîïīıóòôöõøōőúùûüūůűñńçćčýÿšśžźżłđðř',
                                                          'aaaaaaaaaeeeeeeeiiiiiioooooooouuuuuuunncccyysszzzlddr');
grant execute on function name_key(text, text) to messagehub_people, messagehub_system;
alter table contacts add column name_key text collate "C" generated always as (name_key(name, phone_number)) stored;
create index contacts_by_name on contacts (workspace_id, name_key, id) where merged_into is null;  -- the list, by name
create index contacts_untexted on contacts (workspace_id, id) where not texted and merged_into is null; -- by last text: the rest
create index contacts_untexted_of on contacts (workspace_id, created_by, id)
    where not texted and merged_into is null;                                                      -- of those an agent's own
create index contacts_merged on contacts (workspace_id, merged_into) where merged_into is not null; -- a contact's other addresses
create index contacts_with_field on contacts (workspace_id) where custom_fields <> '{}';           -- a field that goes

-- Whoever made a contact sees it until somebody texts with it; a merged one is seen as its survivor.
drop policy people_see on contacts;
create policy people_see on contacts for select to messagehub_people
    using (workspace_id = (select my_workspace()) and merged_into is null
           and ((select i_am_admin())
                or exists (select from conversations c where c.workspace_id = contacts.workspace_id and c.contact_id = contacts.id)
                or (created_by = (select current_user_id()) and not texted)));
drop function is_untexted(uuid);

create table tags (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    name         text not null check (length(name) between 1 and 40 and name = btrim(name)),
    color        text not null check (color in ('gray', 'red', 'orange', 'yellow', 'green', 'teal', 'blue', 'purple', 'pink')),
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id)
);
create unique index tags_name_key on tags (workspace_id, lower(name));
select confine_to_workspace('tags');
grant select, insert, update, delete on tags to messagehub_people;
grant select, insert on tags to messagehub_system; -- the demo's

create table contact_tags (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    contact_id   uuid not null,
    tag_id       uuid not null,
    primary key (workspace_id, contact_id, tag_id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, tag_id) references tags on delete cascade
);
create index contact_tags_of_tag on contact_tags (workspace_id, tag_id, contact_id); -- the filter
select confine_to_workspace('contact_tags',
    readers => 'exists (select from contacts c where c.workspace_id = contact_tags.workspace_id and c.id = contact_id)',
    writers => 'exists (select from contacts c where c.workspace_id = contact_tags.workspace_id and c.id = contact_id)');
grant select, insert, delete on contact_tags to messagehub_people;
grant select, insert, delete on contact_tags to messagehub_system;

create table contact_fields (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    key          text not null check (key ~ '^[a-z0-9_]{1,40}$'),   -- made of its first name, and kept when it is renamed
    name         text not null check (length(name) between 1 and 40 and name = btrim(name)),
    kind         text not null check (kind in ('text', 'number', 'date', 'choice')),
    choices      text[] not null default '{}',
    position     integer not null default 0,
    created_at   timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint contact_fields_key unique (workspace_id, key)
);
create unique index contact_fields_name_key on contact_fields (workspace_id, lower(name));
select confine_to_workspace('contact_fields', writers => '(select i_am_admin())');
grant select, insert, update, delete on contact_fields to messagehub_people;
grant select, insert on contact_fields to messagehub_system;

-- Where a text went or goes. Written down when it is sent: the contact's number may change meanwhile, and two may become one.
alter table messages add column address text;
update messages m set address = c.phone_number
  from contacts c
 where m.status in ('sending', 'unconfirmed') and c.workspace_id = m.workspace_id and c.id = m.contact_id;

-- A STOP outlives the contact: whoever has this number next is not texted either, until they text START.
create table remembered_opt_outs (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    address      text not null,
    number_id    uuid not null,
    source       text not null,
    proof        text not null,
    created_at   timestamptz not null,
    primary key (workspace_id, address, number_id),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
select confine_to_workspace('remembered_opt_outs', readers => '(select i_am_admin())', writers => 'false');
grant select on remembered_opt_outs to messagehub_people;
grant select, insert, delete on remembered_opt_outs to messagehub_system;

-- Texts that were deleted with their contact: a provider's list brings them in no more. Kept as long as such a list may reach.
create table forgotten_texts (
    workspace_id   uuid not null default current_workspace() references workspaces on delete cascade,
    integration_id uuid not null,
    provider_sid   text not null,
    created_at     timestamptz not null default now(),
    primary key (workspace_id, integration_id, provider_sid),
    foreign key (workspace_id, integration_id) references integrations on delete cascade
);
create index forgotten_long_ago on forgotten_texts (created_at);
select confine_to_workspace('forgotten_texts', readers => 'false', writers => 'false');
grant select, insert, delete on forgotten_texts to messagehub_system;

-- Where the texts of a conversation are that was joined to another: old links lead there.
create table joined_conversations (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null,
    into_id      uuid not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, into_id) references conversations on delete cascade
);
create index joined_into on joined_conversations (workspace_id, into_id);
select confine_to_workspace('joined_conversations',
    readers => 'exists (select from conversations v where v.workspace_id = joined_conversations.workspace_id and v.id = into_id)',
    writers => 'false');
grant select on joined_conversations to messagehub_people;
grant select, insert, update, delete on joined_conversations to messagehub_system;

grant select, insert, update, delete on contacts, conversations, opt_outs, consents to messagehub_system;
grant update on drafts to messagehub_system;
grant update (conversation_id) on conversation_events, mentions to messagehub_system;

-- What is asked of others' rows, or must be fast where row-level security would have every row looked at.
grant create on schema public to messagehub_system;

create function tags_of(workspace uuid, contact uuid) returns jsonb
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return coalesce(
        (select jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'color', t.color) order by lower(t.name))
           from contact_tags o
           join tags t on t.workspace_id = o.workspace_id and t.id = o.tag_id
          where o.workspace_id = workspace and o.contact_id = contact and workspace = coalesce(current_workspace(), workspace)),
        '[]'::jsonb);
end $$;

create function has_tag(workspace uuid, contact uuid, tag uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from contact_tags o where o.workspace_id = workspace and o.contact_id = contact and o.tag_id = tag
                      and workspace = coalesce(current_workspace(), workspace));
end $$;

-- The other addresses of a contact: those of contacts that were merged into it.
create function addresses_of(workspace uuid, contact uuid) returns text[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return array(select c.phone_number from contacts c
                  where c.workspace_id = workspace and c.merged_into = contact
                    and workspace = coalesce(current_workspace(), workspace)
                  order by c.id);
end $$;

-- Who has become of a contact that was merged away.
create function survivor_of(contact uuid) returns uuid
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return (select c.merged_into from contacts c where c.workspace_id = my_workspace() and c.id = contact);
end $$;

-- Whose number this is, whether or not whoever asks may see them: for what must not miss anybody, such as an import.
create function contact_at(address text) returns uuid
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return (select coalesce(c.merged_into, c.id) from contacts c where c.workspace_id = my_workspace() and c.phone_number = address);
end $$;

-- The contact with this number, made if there is none.
create or replace function meet_contact(new_id uuid, phone text) returns uuid
    language sql volatile security definer set search_path = public, pg_temp
begin atomic
    insert into contacts (workspace_id, id, phone_number, created_by)
    select my_workspace(), new_id, phone, current_user_id()
     where my_workspace() is not null
        on conflict (workspace_id, phone_number) do update set phone_number = excluded.phone_number
    returning coalesce(merged_into, id);
end;

-- What is written about a contact that is being merged away is written about its survivor: the lock waits for the merge, and
-- sees what came of it. A contact that was deleted meanwhile has no conversation: the text that began it is stored once more.
create function begin_conversation() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    survivor uuid;
begin
    update contacts c set texted = true
     where c.workspace_id = new.workspace_id and c.id = new.contact_id and not c.texted
    returning coalesce(c.merged_into, c.id) into survivor;
    if not found then
        select coalesce(c.merged_into, c.id) into survivor from contacts c
         where c.workspace_id = new.workspace_id and c.id = new.contact_id
           for share;
        if not found then
            return null;
        end if;
    end if;
    if survivor <> new.contact_id then
        update contacts c set texted = true where c.workspace_id = new.workspace_id and c.id = survivor and not c.texted;
    end if;
    new.contact_id := survivor;
    return new;
end $$;
create trigger begins before insert on conversations for each row execute function begin_conversation();

-- A number that goes takes its conversations with it.
create function end_conversation() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    update contacts c set texted = false
     where c.workspace_id = old.workspace_id and c.id = old.contact_id and c.texted
       and not exists (select from conversations v where v.workspace_id = old.workspace_id and v.contact_id = old.contact_id);
    return null;
end $$;
create trigger ends after delete on conversations for each row execute function end_conversation();

create function follow_merge() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    select coalesce(c.merged_into, c.id) into new.contact_id from contacts c
     where c.workspace_id = new.workspace_id and c.id = new.contact_id
       for share;
    if not found then
        return null; -- deleted this instant
    end if;
    return new;
end $$;
create trigger follows_merge before insert on opt_outs for each row execute function follow_merge();
create trigger follows_merge before insert on consents for each row execute function follow_merge();
create trigger follows_merge before insert on contact_tags for each row execute function follow_merge();

create function remember_opt_outs() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with recalled as (
        delete from remembered_opt_outs r
         where r.workspace_id = new.workspace_id and r.address = new.phone_number
        returning r.number_id, r.source, r.proof, r.created_at
    ), held as (
        insert into opt_outs (workspace_id, contact_id, number_id, source, proof, created_at)
        select new.workspace_id, new.id, r.number_id, r.source, r.proof, r.created_at from recalled r
            on conflict do nothing
        returning number_id, source, proof, created_at
    )
    insert into consents (workspace_id, contact_id, number_id, wish, source, proof, actor_id, created_at)
    select new.workspace_id, new.id, h.number_id, 'stop', h.source, h.proof, null, h.created_at from held h;
    return null;
end $$;
create trigger recalls_opt_outs after insert on contacts for each row execute function remember_opt_outs();
create trigger recalls_opt_outs_of_new_number after update of phone_number on contacts
    for each row when (old.phone_number <> new.phone_number) execute function remember_opt_outs();

-- The old number keeps its STOP, whoever has it next: the wish is the person's and the address's.
create function keep_opt_outs_of_number() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
    select o.workspace_id, old.phone_number, o.number_id, o.source, o.proof, o.created_at
      from opt_outs o
     where o.workspace_id = old.workspace_id and o.contact_id = coalesce(old.merged_into, old.id)
        on conflict do nothing;
    return coalesce(new, old);
end $$;
create trigger keeps_opt_outs before update of phone_number on contacts
    for each row when (old.phone_number <> new.phone_number) execute function keep_opt_outs_of_number();

-- All conversations with a contact and the contact itself, until the end of the transaction. Conversations come first, as
-- everywhere; one that begins meanwhile waits for the contact, or was there before and is locked then.
create function lock_contacts(workspace uuid, contacts_to_lock uuid[]) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    locked bigint;
begin
    perform from conversations v where v.workspace_id = workspace and v.contact_id = any (contacts_to_lock) order by v.id for update;
    perform from contacts c where c.workspace_id = workspace and c.id = any (contacts_to_lock) order by c.id for no key update;
    perform from conversations v where v.workspace_id = workspace and v.contact_id = any (contacts_to_lock) order by v.id for update;
    select count(*) into locked from contacts c
     where c.workspace_id = workspace and c.id = any (contacts_to_lock) and c.merged_into is null;
    return locked;
end $$;

create function lock_my_contact(contact uuid) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$ begin
    return lock_contacts(my_workspace(), array[contact]);
end $$;

-- Whether whoever asks sees every conversation of these contacts.
create function sees_all_of(contacts_asked uuid[]) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return i_am_admin()
        or not exists (select from conversations v
                        where v.workspace_id = my_workspace() and v.contact_id = any (contacts_asked)
                          and v.number_id <> all (my_numbers()));
end $$;

-- Of two contacts one: all that was said with `gone` was said with `survivor`. Answers what the outcome was: 'merged', 'missing'
-- (one of them is not there any more), or 'hidden' (there are conversations that whoever asks may not see).
create function merge_contacts(survivor uuid, gone uuid) returns text
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    workspace constant uuid := my_workspace();
    address_gone text;
    g conversations;
    s conversations;
begin
    if workspace is null or survivor = gone or lock_contacts(workspace, array[survivor, gone]) <> 2 then
        return 'missing';
    end if;
    if not sees_all_of(array[survivor, gone]) then
        return 'hidden';
    end if;
    select c.phone_number into address_gone from contacts c where c.workspace_id = workspace and c.id = gone;
    for g in select * from conversations v where v.workspace_id = workspace and v.contact_id = gone order by v.id loop
        -- What is on its way goes where it was meant to go.
        update messages m set address = coalesce(m.address, address_gone)
         where m.workspace_id = workspace and m.conversation_id = g.id
           and m.status in ('scheduled', 'queued', 'sending', 'unconfirmed');
        select * into s from conversations v
         where v.workspace_id = workspace and v.contact_id = survivor and v.number_id = g.number_id;
        if not found then
            -- Its texts follow by their key.
            update conversations v set contact_id = survivor, updated_at = now() where v.workspace_id = workspace and v.id = g.id;
            continue;
        end if;
        update messages m set conversation_id = s.id, contact_id = survivor
         where m.workspace_id = workspace and m.conversation_id = g.id;
        update conversation_events e set conversation_id = s.id where e.workspace_id = workspace and e.conversation_id = g.id;
        update mentions m set conversation_id = s.id where m.workspace_id = workspace and m.conversation_id = g.id;
        -- What somebody was writing goes along, too; whoever had begun something in both finds the one below the other.
        update drafts d
           set content = left(concat_ws(E'\n', nullif(d.content, ''), nullif(o.content, '')), 5000),
               media_ids = (d.media_ids || o.media_ids)[1:10], updated_at = clock_timestamp()
          from drafts o
         where d.workspace_id = workspace and d.conversation_id = s.id
           and o.workspace_id = workspace and o.conversation_id = g.id and o.user_id = d.user_id;
        update drafts o set conversation_id = s.id
         where o.workspace_id = workspace and o.conversation_id = g.id
           and not exists (select from drafts d where d.workspace_id = workspace and d.conversation_id = s.id and d.user_id = o.user_id);
        update conversations v
           set unread_count = s.unread_count + g.unread_count,
               -- Whichever wants more attention.
               status = case when 'open' in (s.status, g.status) then 'open' when 'pending' in (s.status, g.status) then 'pending'
                             when 'snoozed' in (s.status, g.status) then 'snoozed' else 'done' end,
               snoozed_until = case when 'open' in (s.status, g.status) or 'pending' in (s.status, g.status) then null
                                    else least(s.snoozed_until, g.snoozed_until) end,
               assignee_id = coalesce(s.assignee_id, g.assignee_id),
               near_stop_id = greatest(s.near_stop_id, g.near_stop_id),
               last_message_at = case when g.last_message_at > s.last_message_at then g.last_message_at else s.last_message_at end,
               last_message_preview = case when g.last_message_at > s.last_message_at then g.last_message_preview else s.last_message_preview end,
               last_message_direction = case when g.last_message_at > s.last_message_at then g.last_message_direction else s.last_message_direction end,
               last_message_status = case when g.last_message_at > s.last_message_at then g.last_message_status else s.last_message_status end,
               last_message_id = case when g.last_message_at > s.last_message_at then g.last_message_id else s.last_message_id end,
               created_at = least(s.created_at, g.created_at), updated_at = now()
         where v.workspace_id = workspace and v.id = s.id;
        update joined_conversations j set into_id = s.id where j.workspace_id = workspace and j.into_id = g.id;
        insert into joined_conversations (workspace_id, id, into_id) values (workspace, g.id, s.id);
        delete from conversations v where v.workspace_id = workspace and v.id = g.id;
    end loop;

    update consents c set contact_id = survivor where c.workspace_id = workspace and c.contact_id = gone;
    -- Opted out wins.
    insert into opt_outs (workspace_id, contact_id, number_id, source, proof, created_at)
    select o.workspace_id, survivor, o.number_id, o.source, o.proof, o.created_at
      from opt_outs o where o.workspace_id = workspace and o.contact_id = gone
        on conflict do nothing;
    delete from opt_outs o where o.workspace_id = workspace and o.contact_id = gone;
    insert into contact_tags (workspace_id, contact_id, tag_id)
    select o.workspace_id, survivor, o.tag_id from contact_tags o where o.workspace_id = workspace and o.contact_id = gone
        on conflict do nothing;
    delete from contact_tags o where o.workspace_id = workspace and o.contact_id = gone;

    -- Its number leads to the survivor from now on, as do those that led to it.
    update contacts c
       set merged_into = survivor, name = null, email = null, notes = '', custom_fields = '{}', updated_at = now()
     where c.workspace_id = workspace and c.id = gone;
    update contacts c set merged_into = survivor where c.workspace_id = workspace and c.merged_into = gone;
    update contacts c
       set texted = exists (select from conversations v where v.workspace_id = workspace and v.contact_id = survivor),
           updated_at = now(), updated_by = current_user_id()
     where c.workspace_id = workspace and c.id = survivor;
    return 'merged';
end $$;

-- A contact goes, with all that was said, and what waits is called off. Answers whose credits came back; whether there was
-- such a contact, and whether whoever asks may, has been asked before.
create function delete_contact(contact uuid) returns table (account uuid, balance bigint)
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    workspace constant uuid := my_workspace();
    waiting uuid[];
begin
    if workspace is null or lock_contacts(workspace, array[contact]) <> 1 then
        return;
    end if;
    with called_off as (
        update messages m set status = 'canceled', due_at = null, updated_at = now()
          from conversations v
         where v.workspace_id = workspace and v.contact_id = contact
           and m.workspace_id = v.workspace_id and m.conversation_id = v.id
           and m.direction = 'outbound' and m.status in ('scheduled', 'queued')
        returning m.id
    )
    select array_agg(id) into waiting from called_off;
    insert into forgotten_texts (workspace_id, integration_id, provider_sid)
    select m.workspace_id, m.integration_id, m.provider_sid
      from conversations v
      join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
     where v.workspace_id = workspace and v.contact_id = contact and m.direction = 'inbound'
       and m.created_at > now() - interval '30 days'
        on conflict do nothing;
    insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
    select o.workspace_id, c.phone_number, o.number_id, o.source, o.proof, o.created_at
      from contacts c
      join opt_outs o on o.workspace_id = c.workspace_id and o.contact_id = contact
     where c.workspace_id = workspace and (c.id = contact or c.merged_into = contact)
        on conflict do nothing;
    -- Which texts count, and on which day, as `usage::count` has it. What is older than it counts anew stands already.
    insert into deleted_usage (workspace_id, number_id, day, direction, currency, texts, segments, price)
    select m.workspace_id, m.number_id, (coalesce(m.scheduled_at, m.created_at) at time zone 'UTC')::date, m.direction,
           case when m.price is null then '' else coalesce(m.price_unit, 'USD') end,
           count(*), coalesce(sum(m.segments), 0), coalesce(sum(m.price), 0)
      from conversations v
      join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
     where v.workspace_id = workspace and v.contact_id = contact and m.direction <> 'note' and m.provider_sid is not null
       and coalesce(m.scheduled_at, m.created_at) > now() - interval '70 days'
     group by 1, 2, 3, 4, 5;
    -- Accounts are locked last.
    return query select r.account, r.balance from unnest(waiting) as w (id) cross join lateral return_credit(workspace, w.id) r;
    delete from contacts c where c.workspace_id = workspace and c.merged_into = contact;
    delete from contacts c where c.workspace_id = workspace and c.id = contact;
end $$;

alter function tags_of(uuid, uuid) owner to messagehub_system;
alter function has_tag(uuid, uuid, uuid) owner to messagehub_system;
alter function addresses_of(uuid, uuid) owner to messagehub_system;
alter function survivor_of(uuid) owner to messagehub_system;
alter function contact_at(text) owner to messagehub_system;
alter function begin_conversation() owner to messagehub_system;
alter function end_conversation() owner to messagehub_system;
alter function follow_merge() owner to messagehub_system;
alter function remember_opt_outs() owner to messagehub_system;
alter function keep_opt_outs_of_number() owner to messagehub_system;
alter function lock_contacts(uuid, uuid[]) owner to messagehub_system;
alter function lock_my_contact(uuid) owner to messagehub_system;
alter function sees_all_of(uuid[]) owner to messagehub_system;
alter function merge_contacts(uuid, uuid) owner to messagehub_system;
alter function delete_contact(uuid) owner to messagehub_system;
revoke create on schema public from messagehub_system;
grant execute on function tags_of(uuid, uuid), has_tag(uuid, uuid, uuid), addresses_of(uuid, uuid)
    to messagehub_people, messagehub_system;
grant execute on function survivor_of(uuid), contact_at(text), lock_my_contact(uuid), sees_all_of(uuid[]),
    merge_contacts(uuid, uuid), delete_contact(uuid) to messagehub_people;

-- Lists of contacts from elsewhere. Each row is kept until it has been dealt with, so that a restart goes on where it was.
create table contact_imports (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    kind         text not null default 'contacts' check (kind in ('contacts', 'opt_outs')),
    file_name    text not null,
    file         bytea,                              -- until it is started: it may be read in another encoding
    state        text not null default 'mapping' check (state in ('mapping', 'running', 'done', 'failed')),
    encoding     text not null,
    delimiter    text not null,
    columns      text[] not null,                    -- the first line of the file
    mapping      text[] not null,                    -- what each column is: '' for nothing
    forms        jsonb not null default '[]',        -- what the cells of each column have in common
    problems     jsonb not null default '[]',        -- what is not taken as the file has it
    left_out     integer not null default 0,         -- cells of it
    duplicates   text not null default 'fill' check (duplicates in ('skip', 'update', 'fill')),
    region       text not null,
    tag_ids      uuid[] not null default '{}',
    total        integer not null,
    done         integer not null default 0,
    added        integer not null default 0,
    updated      integer not null default 0,
    skipped      integer not null default 0,
    refused      integer not null default 0,
    failure      text,
    lease_until  timestamptz,
    created_by   uuid references users on delete set null default current_user_id(),
    created_by_name text not null default '',
    created_at   timestamptz not null default now(),
    finished_at  timestamptz,
    primary key (workspace_id, id)
);
create index imports_to_do on contact_imports (lease_until nulls first) where state = 'running';
select confine_to_workspace('contact_imports', readers => '(select i_am_admin())', writers => '(select i_am_admin())');
grant select, insert, update, delete on contact_imports to messagehub_people;
grant select, update, delete on contact_imports to messagehub_system;

create table contact_import_rows (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    import_id    uuid not null,
    line         integer not null,
    cells        jsonb not null,
    outcome      text check (outcome in ('added', 'updated', 'skipped', 'refused')),
    reason       text,
    primary key (workspace_id, import_id, line),
    foreign key (workspace_id, import_id) references contact_imports on delete cascade
);
create index import_rows_to_do on contact_import_rows (workspace_id, import_id, line) where outcome is null;
create index import_rows_refused on contact_import_rows (workspace_id, import_id, line) where outcome = 'refused';
select confine_to_workspace('contact_import_rows', readers => '(select i_am_admin())', writers => '(select i_am_admin())');
grant select, insert, update, delete on contact_import_rows to messagehub_people;
grant select, delete on contact_import_rows to messagehub_system;
