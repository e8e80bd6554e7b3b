-- Each member's settings in a workspace, and the browsers that get push notifications.

create table member_settings (
    workspace_id          uuid not null default current_workspace() references workspaces on delete cascade,
    user_id               uuid not null,
    default_number_id     uuid,
    signature             text not null default '' check (length(signature) <= 160),
    desktop_notifications boolean not null default false,
    sound                 boolean not null default false,
    mail_when_credits_low boolean not null default true,
    single_key_shortcuts  boolean not null default true, -- off for people who dictate: each spoken letter would be a command
    updated_at            timestamptz not null default now(),
    push_preview          boolean not null default false, -- sender and content, on a screen that others may see
    open_next             boolean not null default true,  -- the next conversation, after one was marked as done
    assign_when_answering boolean not null default false, -- an unassigned conversation to its answerer
    primary key (workspace_id, user_id),
    foreign key (workspace_id, user_id) references workspace_members on delete cascade,
    foreign key (workspace_id, default_number_id) references numbers on delete set null (default_number_id)
);

-- Push notifications to a member's browsers (`src/push.rs`). A subscription ends with the session that made it, and with the
-- membership.
create table push_subscriptions (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    user_id      uuid not null,
    session_id   uuid not null references sessions on delete cascade,
    endpoint     text not null check (length(endpoint) between 8 and 1000),
    p256dh       bytea not null check (length(p256dh) = 65),
    auth         bytea not null check (length(auth) = 16),
    name         text not null default '' check (length(name) <= 80),  -- of the browser, for its owner
    last_used_at timestamptz,
    created_at   timestamptz not null default now(),
    language     text check (language ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$'), -- of the browser, for a user who chose none
    primary key (workspace_id, id),
    foreign key (workspace_id, user_id) references workspace_members on delete cascade,
    constraint push_subscriptions_once unique (workspace_id, user_id, endpoint)
);
create index push_subscriptions_of_session on push_subscriptions (session_id);

select confine_to_workspace('member_settings',
    readers => '(select i_am_admin()) or user_id = (select current_user_id())',
    writers => '(select i_am_admin()) or user_id = (select current_user_id())');
select confine_to_workspace('push_subscriptions',
    readers => 'user_id = (select current_user_id())', writers => 'user_id = (select current_user_id())');

grant select, insert, update on member_settings to messagehub_people;
grant select, insert, update, delete on push_subscriptions to messagehub_people;
grant select on member_settings to messagehub_system;
grant select, update, delete on push_subscriptions to messagehub_system;
