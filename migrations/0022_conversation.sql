-- What agents do with a conversation besides answering: who did what when, whom a note calls, and what sleeps until its time.

-- Only ever added to: by the triggers below, in the transaction of the deed itself, whichever door it came through.
create table conversation_events (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null default new_id(),  -- sorts by time, between the ids of the texts
    conversation_id uuid not null,
    number_id       uuid not null,
    kind            text not null check (kind in ('assigned', 'unassigned', 'pending', 'done', 'reopened', 'snoozed', 'woken',
                                                  'opted_out', 'opted_in')),
    cause           text check (cause in ('text', 'time', 'provider', 'agent', 'import')), -- of what nobody here did
    actor_id        uuid default current_user_id(),  -- null: they themselves, the provider, or the clock
    actor_name      text not null default '',        -- as they were called then
    assignee_id     uuid,                            -- who has it now; of `unassigned`: who had it
    assignee_name   text,
    previous_id     uuid,                            -- who had it before
    previous_name   text,
    until           timestamptz,                     -- of `snoozed`
    created_at      timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, conversation_id) references conversations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index events_of_conversation on conversation_events (workspace_id, conversation_id, id desc); -- the thread, past activity
select confine_to_workspace('conversation_events',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'false');
grant select on conversation_events to messagehub_people;
grant select, insert on conversation_events to messagehub_system;

-- A status or an assignee changed. Runs as the system role: also where a key sets the assignee to nobody because they left.
create function tell_of_conversation() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$
declare
    actor constant uuid := current_user_id();
    called constant text := coalesce((select u.name from users u where u.id = actor), '');
begin
    -- Whoever leaves because all of it goes leaves nothing behind.
    if not exists (select from workspaces w where w.id = new.workspace_id) then
        return null;
    end if;
    if old.assignee_id is distinct from new.assignee_id then
        insert into conversation_events (workspace_id, conversation_id, number_id, kind, actor_id, actor_name,
                                         assignee_id, assignee_name, previous_id, previous_name)
        select new.workspace_id, new.id, new.number_id, case when new.assignee_id is null then 'unassigned' else 'assigned' end,
               actor, called, n.id, n.name, o.id, o.name
          from (select coalesce(new.assignee_id, old.assignee_id) as id) as t
          join users n on n.id = t.id
          left join users o on o.id = old.assignee_id and new.assignee_id is not null;
    end if;
    if old.status <> new.status or (new.status = 'snoozed' and old.snoozed_until is distinct from new.snoozed_until) then
        insert into conversation_events (workspace_id, conversation_id, number_id, kind, cause, actor_id, actor_name, until)
        values (new.workspace_id, new.id, new.number_id,
                case when new.status <> 'open' then new.status when old.status = 'snoozed' then 'woken' else 'reopened' end,
                case when actor is not null then null
                     when old.status = 'snoozed' and old.snoozed_until <= now()
                          and old.last_message_id is not distinct from new.last_message_id then 'time'
                     else 'text' end,
                actor, called, new.snoozed_until);
    end if;
    return null;
end $$;
create trigger tells after update of status, assignee_id, snoozed_until on conversations for each row
    when (old.status <> new.status or old.assignee_id is distinct from new.assignee_id
          or (new.status = 'snoozed' and old.snoozed_until is distinct from new.snoozed_until))
    execute function tell_of_conversation();

-- They changed their mind, or somebody wrote down that they did.
create function tell_of_consent() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into conversation_events (workspace_id, conversation_id, number_id, kind, cause, actor_id, actor_name)
    select v.workspace_id, v.id, v.number_id, case new.wish when 'stop' then 'opted_out' else 'opted_in' end,
           new.source, new.actor_id, new.actor_name
      from conversations v
     where v.workspace_id = new.workspace_id and v.contact_id = new.contact_id and v.number_id = new.number_id;
    return null;
end $$;
create trigger tells after insert on consents for each row execute function tell_of_consent();

-- Whom a note calls.
create table mentions (
    workspace_id    uuid not null default current_workspace() references workspaces on delete cascade,
    id              uuid not null default new_id(),
    message_id      uuid not null,
    conversation_id uuid not null,
    number_id       uuid not null,
    user_id         uuid not null references users on delete cascade,
    name            text not null,                   -- as the note calls them
    seen_at         timestamptz,
    created_at      timestamptz not null default now(),
    primary key (workspace_id, id),
    constraint mentions_once unique (workspace_id, message_id, user_id),
    foreign key (workspace_id, message_id) references messages on delete cascade,
    foreign key (workspace_id, conversation_id) references conversations on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index mentions_of_user on mentions (workspace_id, user_id, conversation_id);                        -- "Mentions"
create index mentions_unseen on mentions (workspace_id, user_id, conversation_id) where seen_at is null; -- and its count
select confine_to_workspace('mentions',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
grant select, insert, update (seen_at) on mentions to messagehub_people;
grant select, insert on mentions to messagehub_system;

-- Whom a note calls, as the API shows it. Runs with the rights of the caller.
create function mentions_of(workspace uuid, message uuid, direction text) returns jsonb
    language plpgsql stable
as $$ begin
    if direction <> 'note' then
        return '[]'::jsonb; -- texts call nobody, and cost nothing
    end if;
    return coalesce(
        (select jsonb_agg(jsonb_build_object('user_id', m.user_id, 'name', m.name) order by m.id)
           from mentions m
          where m.workspace_id = workspace and m.message_id = message), '[]'::jsonb);
end $$;
grant execute on function mentions_of(uuid, uuid, text) to messagehub_people, messagehub_system;
grant execute on function tell_of_conversation(), tell_of_consent() to messagehub_people, messagehub_system;

grant create on schema public to messagehub_system;
alter function tell_of_conversation() owner to messagehub_system;
alter function tell_of_consent() owner to messagehub_system;
revoke create on schema public from messagehub_system;

create index conversations_asleep on conversations (snoozed_until) where status = 'snoozed'; -- the clock's look
